/** A worker of version 3, which hands the shards of a worker that died to the others when its measurements are missing. */
class Kcl {
    public static void main(String[] args) {
        Worker.run(args, leases -> leases.workerUtilizationAwareAssignmentConfig()
            .inMemoryWorkerMetricsCaptureFrequencyMillis(500).workerMetricsReporterFreqInMillis(500));
    }
}
