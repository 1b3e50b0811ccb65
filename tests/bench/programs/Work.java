// Objects, maps, strings, sorting, arrays, floats; "short" does a tenth.
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

public class Work {
    static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

    record Item(String key, int seed) implements Comparable<Item> {
        public int compareTo(Item other) { return Integer.compare(seed, other.seed); }
    }

    public static void main(String[] args) {
        int rounds = args.length > 0 ? 1 : 10;
        long total = 0;
        for (int round = 0; round < rounds; round++) {
            total += fib(30);
            boolean[] sieve = new boolean[1000000];
            for (int i = 2; i < 1000; i++) if (!sieve[i]) for (int j = i * i; j < 1000000; j += i) sieve[j] = true;
            for (int i = 2; i < 1000000; i++) if (!sieve[i]) total++;
            Map<String, Integer> counts = new HashMap<>();
            List<Item> list = new ArrayList<>();
            int seed = 1;
            for (int i = 0; i < 100000; i++) {
                seed = seed * 1103515245 + 12345 & 0x7fffffff;
                String key = "k" + seed % 4999;
                counts.merge(key, 1, Integer::sum);
                list.add(new Item(key, seed));
            }
            Collections.sort(list);
            StringBuilder text = new StringBuilder();
            for (Item item : list.subList(0, 20000)) text.append(item.key()).append(' ').append(item.seed());
            total += counts.size() + text.toString().replace("77", "x").length();
            double x = 0.5;
            for (int i = 0; i < 3000000; i++) x = 3.7 * x * (1 - x);
            total += (long) (x * 1000);
        }
        System.out.println(total);
    }
}
