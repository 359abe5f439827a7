// The original e-prop over update intervals: twin of kernels/cpu/eprop.py, which says what is computed. A block per interval runs
// the network, another the readout; then follow a thread per interval and neuron, which goes back in time, and a thread per synapse.
#include "eprop.cuh"

// Intervals that run with the same weights; all arrays begin (interval, step).
template <class Real>
struct Intervals {
    const uint32_t* inputs;   // words
    const double* targets;    // output
    const uint8_t* late;      // (interval, input)
    uint32_t* spikes;         // words
    Real *output, *filtered;  // output: the readout, and the errors filtered backward by it
    double* error;            // output
    Real *amounts, *amounts_late;  // neuron: first psi, then what a spike that arrives adds to the gradient
    Cells<Real> cells;        // (interval, neuron)
    int32_t n_intervals, n_steps, window, softmax;
    Real divisor;
};

// Neurons from rest, with the weights as they are; psi of each step.
template <class Real>
__device__ __forceinline__ void advance(const Neurons<Real>& m, const Learned<Real>& l, const Intervals<Real>& run) {
    const int n_words = words_of(m.n), n_words_in = words_of(m.n_in);
    const int64_t first_step = (int64_t)blockIdx.x * run.n_steps, first = (int64_t)blockIdx.x * m.n;
    const Cells<Real> cells = {run.cells.v + first, run.cells.adaptation + first, run.cells.refractory + first};
    for (int t = 0; t < run.n_steps; ++t) {
        const uint32_t* inputs = run.inputs + (first_step + t) * n_words_in;
        uint32_t* spikes = run.spikes + (first_step + t) * n_words;
        Real* psi = run.amounts + (first_step + t) * m.n;
        step_neurons(m, cells, l.w, inputs, t > 0 ? spikes - n_words : nullptr, spikes, psi, threadIdx.x, blockDim.x);
        __syncthreads();
    }
}

// The readout, its errors, and these filtered backward. Sums over neurons, a thread per step and output, come first; then a thread per
// output goes through time.
template <class Real>
__device__ __forceinline__ void respond(
    const Neurons<Real>& m, const Rule<Real>& rule, const Learned<Real>& l, const Intervals<Real>& run) {
    const int n_words = words_of(m.n), size = run.n_steps * m.n_out;
    const int64_t first_step = (int64_t)blockIdx.x * run.n_steps;
    Real* output = run.output + first_step * m.n_out;
    for (int at = threadIdx.x; at < size; at += blockDim.x) {
        Real arriving = 0;
        add_rows(run.spikes + (first_step + at / m.n_out) * n_words, n_words, l.w_out, m.n_out, at % m.n_out, arriving);
        output[at] = arriving;
    }
    __syncthreads();
    for (int k = threadIdx.x; k < m.n_out; k += blockDim.x) {
        Real y = 0;
        for (int at = k; at < size; at += m.n_out) output[at] = y = rule.readout_decay * y + rule.readout_gain * output[at];
    }
    __syncthreads();
    for (int t = threadIdx.x; t < run.n_steps; t += blockDim.x) {
        Real* y = output + (int64_t)t * m.n_out;
        if (run.softmax) {
            Real largest = y[0];
            double total = 0.0;
            for (int k = 0; k < m.n_out; ++k) largest = y[k] > largest ? y[k] : largest;
            for (int k = 0; k < m.n_out; ++k) total += (double)(y[k] = exponential(y[k] - largest));
            for (int k = 0; k < m.n_out; ++k) y[k] = (Real)((double)y[k] / total);
        }
        const int64_t at = (first_step + t) * m.n_out;
        for (int k = 0; k < m.n_out; ++k) run.error[at + k] = t >= run.n_steps - run.window ? (double)y[k] - run.targets[at + k] : 0.0;
    }
    __syncthreads();
    for (int k = threadIdx.x; k < m.n_out; k += blockDim.x) {
        Real total = 0;
        for (int64_t at = (first_step + run.n_steps - 1) * m.n_out + k; at >= first_step * m.n_out; at -= m.n_out) {
            total = (Real)((double)(rule.readout_decay * total) + run.error[at]);
            run.filtered[at] = rule.readout_gain * total;
        }
    }
}

// What changes in a neuron on the way back.
template <class Real>
struct Backward {
    Real filtered = 0, q = 0, g = 0;
};

// Take neuron j one step back; what a spike that arrives in this step adds to the gradient.
template <class Real>
__device__ __forceinline__ Real amount(
    const Neurons<Real>& m, const Rule<Real>& rule, int j, Real signal, Real psi, Real regular, Backward<Real>& back) {
    back.filtered = rule.kappa * back.filtered + signal;
    const Real d = rule.ending * back.filtered + regular + back.q;
    back.q = m.adapt_decay[j] * back.q - m.adapt_beta[j] * psi * d;
    back.g = psi * d + m.decay[j] * back.g;
    return m.gain[j] * back.g;
}

template <class Real>
__device__ __forceinline__ void go_back(
    const Neurons<Real>& m, const Rule<Real>& rule, const Learned<Real>& l, const Intervals<Real>& run) {
    const int64_t at_neuron = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (at_neuron >= (int64_t)run.n_intervals * m.n) return;
    const int64_t first_step = at_neuron / m.n * run.n_steps;
    const int j = (int)(at_neuron % m.n), n_words = words_of(m.n);
    int64_t count = 0;
    for (int t = 0; t < run.n_steps; ++t) count += is_set(run.spikes + (first_step + t) * n_words, j);
    const double steps = (double)run.n_steps;
    const Real regular = (Real)(rule.c_reg * ((double)count / steps - rule.target_rate) / steps);
    Backward<Real> every, late;
    for (int t = run.n_steps - 1; t >= 0; --t) {
        Real signal = 0;
        for (int k = 0; k < m.n_out; ++k)
            signal = (Real)((double)signal + run.error[(first_step + t) * m.n_out + k] * (double)l.feedback[(int64_t)k * m.n + j]);
        const int64_t at = (first_step + t) * m.n + j;
        const Real psi = run.amounts[at];
        run.amounts[at] = amount(m, rule, j, signal, psi, regular, every);
        run.amounts_late[at] = amount(m, rule, j, t == run.n_steps - 1 ? Real(0) : signal, psi, regular, late);
    }
}

// Change one input or recurrent synapse by the mean gradient of the intervals.
template <class Real>
__device__ __forceinline__ void update(
    const Neurons<Real>& m, const Descent<Real>& d, const Learned<Real>& l, const Intervals<Real>& run) {
    const int64_t at = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (at >= (int64_t)(m.n_in + m.n) * m.n) return;
    const int i = (int)(at / m.n), j = (int)(at % m.n);
    const bool is_input = i < m.n_in;
    const int bit = is_input ? i : i - m.n_in, n_words = words_of(is_input ? m.n_in : m.n), delay = is_input ? 0 : 1;
    Real total = 0;
    for (int s = 0; s < run.n_intervals; ++s) {
        const int64_t first_step = (int64_t)s * run.n_steps;
        const uint32_t* words = (is_input ? run.inputs : run.spikes) + first_step * n_words;
        const Real* amounts = (is_input && run.late[(int64_t)s * m.n_in + i] ? run.amounts_late : run.amounts) + first_step * m.n + j;
        Real sum = 0;
        for (int t = delay; t < run.n_steps; ++t)
            if (is_set(words + (int64_t)(t - delay) * n_words, bit)) sum += amounts[(int64_t)t * m.n];
        total += l.w_plastic[at] ? sum : Real(0);
    }
    l.w[at] = descended(d, d.numbers.rate, l.w[at], total / run.divisor, l.moments.mean[at], l.moments.square[at]);
}

// Change one synapse of the readout, and the feedback that follows it.
template <class Real>
__device__ __forceinline__ void update_out(
    const Neurons<Real>& m, const Descent<Real>& d, const Learned<Real>& l, const Intervals<Real>& run) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= m.n * m.n_out) return;
    const int j = at / m.n_out, k = at % m.n_out, n_words = words_of(m.n);
    Real total = 0;
    for (int s = 0; s < run.n_intervals; ++s) {
        Real sum = 0;
        for (int64_t step = (int64_t)s * run.n_steps; step < (int64_t)(s + 1) * run.n_steps; ++step)
            if (is_set(run.spikes + step * n_words, j)) sum += run.filtered[step * m.n_out + k];
        total += sum;
    }
    const Real before = l.w_out[at];
    l.w_out[at] = descended(d, d.numbers.rate, before, total / run.divisor, l.moments_out.mean[at], l.moments_out.square[at]);
    follow_readout(m, d, l, j, k, before);
}

extern "C" __global__ void __launch_bounds__(256) eprop_run_float(
    const __grid_constant__ Neurons<float> m, const __grid_constant__ Learned<float> l,
    const __grid_constant__ Intervals<float> run) {
    advance(m, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_respond_float(
    const __grid_constant__ Neurons<float> m, const __grid_constant__ Rule<float> rule, const __grid_constant__ Learned<float> l,
    const __grid_constant__ Intervals<float> run) {
    respond(m, rule, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_back_float(
    const __grid_constant__ Neurons<float> m, const __grid_constant__ Rule<float> rule, const __grid_constant__ Learned<float> l,
    const __grid_constant__ Intervals<float> run) {
    go_back(m, rule, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_update_float(
    const __grid_constant__ Neurons<float> m, const __grid_constant__ Descent<float> d, const __grid_constant__ Learned<float> l,
    const __grid_constant__ Intervals<float> run) {
    update(m, d, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_update_out_float(
    const __grid_constant__ Neurons<float> m, const __grid_constant__ Descent<float> d, const __grid_constant__ Learned<float> l,
    const __grid_constant__ Intervals<float> run) {
    update_out(m, d, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_run_double(
    const __grid_constant__ Neurons<double> m, const __grid_constant__ Learned<double> l,
    const __grid_constant__ Intervals<double> run) {
    advance(m, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_respond_double(
    const __grid_constant__ Neurons<double> m, const __grid_constant__ Rule<double> rule, const __grid_constant__ Learned<double> l,
    const __grid_constant__ Intervals<double> run) {
    respond(m, rule, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_back_double(
    const __grid_constant__ Neurons<double> m, const __grid_constant__ Rule<double> rule, const __grid_constant__ Learned<double> l,
    const __grid_constant__ Intervals<double> run) {
    go_back(m, rule, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_update_double(
    const __grid_constant__ Neurons<double> m, const __grid_constant__ Descent<double> d, const __grid_constant__ Learned<double> l,
    const __grid_constant__ Intervals<double> run) {
    update(m, d, l, run);
}

extern "C" __global__ void __launch_bounds__(256) eprop_update_out_double(
    const __grid_constant__ Neurons<double> m, const __grid_constant__ Descent<double> d, const __grid_constant__ Learned<double> l,
    const __grid_constant__ Intervals<double> run) {
    update_out(m, d, l, run);
}
