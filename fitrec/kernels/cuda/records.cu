// Sums over trials of what they record, so that only the sums leave the device. Twin of learn/trial_sums.py.
#include "common.cuh"

// Add trials to the sums of every other trial, (parity, chunk, trained): counts, and the static currents trial after trial. counts
// and current are (trial, chunk, neuron); `before` trials were added before; `current` is read
// only if there is one.
extern "C" __global__ void records_add(
    const uint16_t* counts, const float* current, const int32_t* trained, int64_t* count_sums, double* current_sums, int n_trials,
    int n_chunks, int n, int n_trained, int before, int with_current) {
    const int64_t cells = (int64_t)n_chunks * n_trained;
    for (int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; cell < cells; cell += (int64_t)gridDim.x * blockDim.x) {
        const int64_t chunk = cell / n_trained, neuron = trained[cell % n_trained];
        for (int b = 0; b < n_trials; ++b) {
            const int64_t from = ((int64_t)b * n_chunks + chunk) * n + neuron, to = (before + b) % 2 * cells + cell;
            count_sums[to] += counts[from];
            if (with_current) current_sums[to] += current[from];
        }
    }
}

// Mean over so many trials of sums.
extern "C" __global__ void records_mean(const double* sums, double* means, int64_t n, double trials) {
    for (int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; at < n; at += (int64_t)gridDim.x * blockDim.x)
        means[at] = sums[at] / trials;
}

// Add the spikes of every neuron, over all trials and chunks.
extern "C" __global__ void records_add_spikes(const uint16_t* counts, int64_t* spikes, int n_rows, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        int64_t total = 0;
        for (int row = 0; row < n_rows; ++row) total += counts[(size_t)row * n + i];
        spikes[i] += total;
    }
}

// Add the static currents of each trained neuron, row after row: trials, and within each its chunks.
extern "C" __global__ void records_add_current(
    const float* current, const int32_t* trained, double* totals, int n_rows, int n, int n_trained) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n_trained; i += gridDim.x * blockDim.x) {
        double total = totals[i];
        for (int row = 0; row < n_rows; ++row) total += current[(size_t)row * n + trained[i]];
        totals[i] = total;
    }
}

// Spikes of each trained neuron in each trial, over all chunks: totals (trial, trained).
extern "C" __global__ void records_totals(
    const uint16_t* counts, const int32_t* trained, int32_t* totals, int n_trials, int n_chunks, int n, int n_trained) {
    const int64_t cells = (int64_t)n_trials * n_trained;
    for (int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; cell < cells; cell += (int64_t)gridDim.x * blockDim.x) {
        const int64_t trial = cell / n_trained, neuron = trained[cell % n_trained];
        int32_t total = 0;
        for (int chunk = 0; chunk < n_chunks; ++chunk) total += counts[(trial * n_chunks + chunk) * n + neuron];
        totals[cell] = total;
    }
}
