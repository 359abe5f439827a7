// e-prop+ with updates in every step: twin of kernels/cpu/eprop_plus.py, which says what is computed. All blocks of a cooperative launch
// run a sequence together; where arrays are read by other threads than those that wrote them stands a barrier over the grid. What a
// comment calls "own" is written and read by the same thread in every step, because threads always take the same elements.
#include "eprop.cuh"

// One sequence, and what outlasts it.
template <class Real>
struct Sequence {
    const uint32_t* inputs;  // (step + 1, words): row t holds the inputs of step t - 1
    uint32_t* spikes;        // (step + 2, words): row t holds the spikes of step t - 2
    const double* targets;   // (step, output)
    Real* y_of_step;         // (step, output)
    const Real* rates;       // of Adam, by iteration
    Cells<Real> cells;
    Real *psi_now, *psi;     // (n,): of this step and of the step before
    Real *error_now, *error; // (n_out,), as well
    Real *y, *rate, *signal, *too_fast, *zbar_out;
    int64_t* last_arrival;                      // (n_in + n,)
    uint8_t* active;                            // (n_in + n,)
    Real *zbar, *epsilon, *ebar, *ebar_reg;     // as w
    Real tiny;                                  // of traces: below, they become 0
    int64_t first_step;
    int32_t n_steps, window;
};

template <class Real>
__device__ __forceinline__ void tidy(Real& value, Real tiny) {
    if (magnitude(value) < tiny) value = Real(0);
}

// Give a weight the iterations that it lacks, the first of them with the gradient.
template <class Real>
__device__ __forceinline__ Real caught_up(
    const Descent<Real>& d, const Real* rates, int64_t done, int64_t due, Real w, Real g, Real& mean, Real& square) {
    if (d.optimizer == OPTIMIZER_SGD) return descended(d, Real(0), w, g, mean, square);
    Real share = 1;
    for (int64_t iteration = done + 1; iteration <= due; ++iteration) {
        w = descended(d, rates[iteration], w, share * g, mean, square);
        share = 0;
    }
    return w;
}

// What this thread takes part in: elements first, first + stride, ...
struct Threads {
    int first, stride;
};

// Inputs, neurons and readout of a step.
template <class Real>
__device__ __forceinline__ void advance(
    const Threads& my, const Neurons<Real>& m, const Rule<Real>& rule, const Learned<Real>& l, const Sequence<Real>& run, int t) {
    const int n_words = words_of(m.n), n_words_in = words_of(m.n_in);
    const uint32_t *inputs = run.inputs + (int64_t)(t + 1) * n_words_in, *before = run.spikes + (int64_t)(t + 1) * n_words;
    uint32_t* spikes = run.spikes + (int64_t)(t + 2) * n_words;
    step_neurons(m, run.cells, l.w, inputs, before, spikes, run.psi_now, my.first, my.stride);
    for (int k = my.first; k < m.n_out; k += my.stride) {
        Real arriving = 0;
        add_rows(before, n_words, l.w_out, m.n_out, k, arriving);
        const Real y = rule.readout_decay * run.y[k] + rule.readout_gain * arriving;
        const int64_t at = (int64_t)t * m.n_out + k;
        run.y[k] = run.y_of_step[at] = y;
        run.error_now[k] = t >= run.n_steps - run.window ? (Real)((double)y - run.targets[at]) : Real(0);
    }
    const int64_t now = run.first_step + t;
    for (int i = my.first; i < m.n_in + m.n; i += my.stride) {
        if (i < m.n_in ? is_set(inputs, i) : is_set(before, i - m.n_in)) run.last_arrival[i] = now;
        run.active[i] = now - run.last_arrival[i] < rule.cutoff_steps;
    }
}

// What the neurons' synapses learn from in this step.
template <class Real>
__device__ __forceinline__ void signal(
    const Threads& my, const Neurons<Real>& m, const Rule<Real>& rule, const Learned<Real>& l, const Sequence<Real>& run) {
    for (int j = my.first; j < m.n; j += my.stride) {
        Real sum = 0;
        for (int k = 0; k < m.n_out; ++k) sum += run.error_now[k] * l.feedback[(int64_t)k * m.n + j];
        run.signal[j] = sum;
        run.too_fast[j] = (Real)(rule.c_reg * ((double)run.rate[j] - rule.target_rate));
    }
}

// Traces and weights of all synapses, in the step before.
template <class Real>
__device__ __forceinline__ void learn(
    const Threads& my, const Neurons<Real>& m, const Rule<Real>& rule, const Learned<Real>& l, const Descent<Real>& d,
    const Sequence<Real>& run, int t) {
    const int64_t due = run.first_step + t;
    const bool tidies = (due + 1) % TIDY_STEPS == 0;
    const uint32_t* inputs = run.inputs + (int64_t)t * words_of(m.n_in);
    const uint32_t* spikes = run.spikes + (int64_t)t * words_of(m.n);
    for (int at = my.first; at < (m.n_in + m.n) * m.n; at += my.stride) {
        const int i = at / m.n, j = at % m.n;
        Real zbar = m.decay[j] * run.zbar[at], epsilon = m.adapt_decay[j] * run.epsilon[at];
        Real ebar = rule.kappa * run.ebar[at], ebar_reg = rule.kappa_reg * run.ebar_reg[at];
        if (run.active[i]) {
            zbar += (i < m.n_in ? is_set(inputs, i) : is_set(spikes, i - m.n_in)) ? Real(1) : Real(0);
            const Real e = run.psi[j] * (zbar - m.adapt_beta[j] * run.epsilon[at]);
            epsilon += e;
            ebar += e;
            ebar_reg += rule.new_reg * e;
            const Real g = l.w_plastic[at] ? run.signal[j] * ebar + run.too_fast[j] * ebar_reg : Real(0);
            l.w[at] = caught_up(d, run.rates, l.moments.done[i], due, l.w[at], g, l.moments.mean[at], l.moments.square[at]);
        }
        run.zbar[at] = zbar;
        run.epsilon[at] = epsilon;
        run.ebar[at] = ebar;
        run.ebar_reg[at] = ebar_reg;
        if (tidies)
            for (Real* values : {run.zbar, run.epsilon, run.ebar, run.ebar_reg, l.moments.mean, l.moments.square}) tidy(values[at], run.tiny);
    }
    for (int i = my.first; i < m.n; i += my.stride) {
        const bool active = run.active[m.n_in + i];
        Real zbar = rule.readout_decay * run.zbar_out[i];
        if (active && is_set(spikes, i)) zbar += rule.readout_gain;
        for (int k = 0; k < m.n_out; ++k) {
            const int at = i * m.n_out + k;
            const Real before = l.w_out[at];
            Real &mean = l.moments_out.mean[at], &square = l.moments_out.square[at];
            if (active) l.w_out[at] = caught_up(d, run.rates, l.moments_out.done[i], due, before, zbar * run.error[k], mean, square);
            follow_readout(m, d, l, i, k, before);
            if (tidies) tidy(mean, run.tiny), tidy(square, run.tiny);
        }
        if (active) l.moments_out.done[i] = due;
        if (tidies) tidy(zbar, run.tiny);
        run.zbar_out[i] = zbar;
    }
}

// Now is the past; everything here is own.
template <class Real>
__device__ __forceinline__ void pass(
    const Threads& my, const Neurons<Real>& m, const Rule<Real>& rule, const Learned<Real>& l, const Sequence<Real>& run, int t) {
    const int64_t due = run.first_step + t;
    const uint32_t* spikes = run.spikes + (int64_t)(t + 2) * words_of(m.n);
    for (int i = my.first; i < m.n_in + m.n; i += my.stride)
        if (run.active[i]) l.moments.done[i] = due;
    for (int j = my.first; j < m.n; j += my.stride) {
        Real rate = rule.kappa_reg * run.rate[j] + rule.new_reg * (is_set(spikes, j) ? Real(1) : Real(0));
        if ((due + 1) % TIDY_STEPS == 0) tidy(rate, run.tiny);
        run.rate[j] = rate;
        run.psi[j] = run.psi_now[j];
    }
    for (int k = my.first; k < m.n_out; k += my.stride) run.error[k] = run.error_now[k];
}

template <class Real>
__device__ __forceinline__ void run_sequence(
    const Neurons<Real>& m, const Rule<Real>& rule, const Learned<Real>& l, const Descent<Real>& d, const Sequence<Real>& run,
    unsigned* arrived) {
    const Threads my = {(int)(blockIdx.x * blockDim.x + threadIdx.x), (int)(gridDim.x * blockDim.x)};
    unsigned round = 0;
    for (int t = 0; t < run.n_steps; ++t) {
        advance(my, m, rule, l, run, t);
        grid_barrier(arrived, ++round);
        signal(my, m, rule, l, run);
        grid_barrier(arrived, ++round);
        learn(my, m, rule, l, d, run, t);
        grid_barrier(arrived, ++round);
        pass(my, m, rule, l, run, t);
    }
}

extern "C" __global__ void __launch_bounds__(256, 4) eprop_sequence_float(
    const __grid_constant__ Neurons<float> m, const __grid_constant__ Rule<float> rule, const __grid_constant__ Learned<float> l,
    const __grid_constant__ Descent<float> d, const __grid_constant__ Sequence<float> run, unsigned* arrived) {
    run_sequence(m, rule, l, d, run, arrived);
}

extern "C" __global__ void __launch_bounds__(256, 4) eprop_sequence_double(
    const __grid_constant__ Neurons<double> m, const __grid_constant__ Rule<double> rule, const __grid_constant__ Learned<double> l,
    const __grid_constant__ Descent<double> d, const __grid_constant__ Sequence<double> run, unsigned* arrived) {
    run_sequence(m, rule, l, d, run, arrived);
}
