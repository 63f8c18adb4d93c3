/** A worker of version 2, which takes the shards of a worker that died by itself. */
class Kcl {
    public static void main(String[] args) {
        Worker.run(args, leases -> {});
    }
}
