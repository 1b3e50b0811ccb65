// The least that a Java program does.
public class Hello {
    public static void main(String[] args) { System.out.println("hello"); }
}
