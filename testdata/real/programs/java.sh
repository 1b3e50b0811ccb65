# openjdk: compiles a program and runs it: threads under G1, exceptions, null checks, stack overflow, processes.
cat > A.java <<'X'
import java.util.*;
import java.util.concurrent.*;
public class A {
    static int deep(int n) { return deep(n + 1) + 1; }
    public static void main(String[] words) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> sums = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            final int k = i;
            sums.add(pool.submit(() -> { long s = 0; for (int j = 0; j < 1000000; j++) s += j % (k + 1); return s; }));
        }
        long total = 0;
        for (Future<Long> sum : sums) total += sum.get();
        pool.shutdown();
        System.out.println(total);
        int caught = 0;
        for (int i = 0; i < 20000; i++) {
            try { Object o = i % 2 == 0 ? null : "x"; caught += o.hashCode() > 0 ? 1 : 0; }
            catch (NullPointerException none) { caught += 2; }
        }
        System.out.println(caught);
        List<byte[]> kept = new ArrayList<>();
        for (int i = 0; i < 3000; i++) { kept.add(new byte[1 << 14]); if (kept.size() > 50) kept.clear(); }
        System.gc();
        System.out.println(kept.size());
        Process child = new ProcessBuilder("sh", "-c", "echo from a child; exit 3").start();
        System.out.println(new String(child.getInputStream().readAllBytes()).trim() + " " + child.waitFor());
        try { deep(0); } catch (StackOverflowError deepest) { System.out.println("too deep"); }
        Map<String, Integer> counts = new ConcurrentHashMap<>();
        Thread[] threads = new Thread[8];
        for (int t = 0; t < threads.length; t++) {
            threads[t] = new Thread(() -> { for (int i = 0; i < 2000; i++) counts.merge("k" + i % 10, 1, Integer::sum); });
            threads[t].start();
        }
        for (Thread thread : threads) thread.join();
        System.out.println(new TreeMap<>(counts));
        System.out.println(String.format("%.6f %s", Math.sin(1e6), java.math.BigInteger.TWO.pow(200)));
        int[] few = new int[3];
        System.out.println(few[words.length + 3]);
    }
}
X
java=/usr/lib/jvm/java-17-openjdk-*/bin
$java/javac A.java
echo "javac $?"
$java/java -XX:+UseG1GC -Xmx256m -cp . A 2>&1
echo "ended with $?"
