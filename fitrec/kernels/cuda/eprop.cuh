// Neurons, readout, descent and feedback of the published e-prop tasks: twin of kernels/cpu/eprop_neurons.py and eprop_optimise.py,
// which say what is computed. Spikes are bits: a row of words per step.
#pragma once
#include "common.cuh"
#include "optimise.cuh"
#include "series.cuh"

// The structs mirror NamedTuples of kernels/cuda/eprop_arguments.py; w is (n_in + n, n), w_out (n, n_out), feedback (n_out, n).
template <class Real>
struct Neurons {
    const Real *decay, *gain, *threshold, *adapt_beta, *adapt_decay;  // (n,)
    double height, width;
    Real v_min, v_reset;
    int32_t refractory_steps, reset, surrogate;
    int32_t n_in, n, n_out;
};

template <class Real>
struct Rule {
    double c_reg, target_rate;
    Real kappa, ending, kappa_reg, new_reg, readout_decay, readout_gain;  // ending: 1 - kappa; new_reg: 1 - kappa_reg
    int64_t cutoff_steps;
};

template <class Real>
struct Moments {
    Real *mean, *square;
    int64_t* done;  // (row,)
};

template <class Real>
struct Learned {
    Real* w;
    const uint8_t* w_plastic;
    Real *w_out, *feedback;
    Moments<Real> moments, moments_out;
};

template <class Real>
struct Descent {
    Numbers<Real> numbers;
    Real follow_gain, follow_shrink;
    int32_t optimizer, feedback;
};

// What changes in the neurons from step to step; (n,) each.
template <class Real>
struct Cells {
    Real *v, *adaptation;
    int32_t* refractory;
};

__device__ __forceinline__ int words_of(int n) { return (n + 31) / 32; }
__device__ __forceinline__ bool is_set(const uint32_t* words, int i) { return words[i / 32] >> (i % 32) & 1u; }

// Add element `at` of the rows whose bit is set, in ascending order.
template <class Real>
__device__ __forceinline__ void add_rows(const uint32_t* words, int n_words, const Real* rows, int width, int at, Real& total) {
    for (int word = 0; word < n_words; ++word)
        for (uint32_t bits = words[word]; bits != 0; bits &= bits - 1)
            total += rows[(32 * word + __ffs(bits) - 1) * (int64_t)width + at];
}

__device__ __forceinline__ double pseudo_derivative(int kind, double u, double height, double width) {
    const double x = magnitude(u) / width;
    if (kind == SURROGATE_PIECEWISE_LINEAR) return height * larger(1.0 - x, 0.0);
    if (kind == SURROGATE_EXPONENTIAL) return height * exponential(-x);
    if (kind == SURROGATE_FAST_SIGMOID) return height / ((1.0 + x) * (1.0 + x));
    return height / (1.0 + x * x);
}

// A step of neuron j; writes its pseudo-derivative and returns whether it spikes. `spiked`: in the step before.
template <class Real>
__device__ __forceinline__ bool step_neuron(
    const Neurons<Real>& m, const Cells<Real>& cells, int j, Real current, bool spiked, Real* psi) {
    const int before = cells.refractory[j], refractory = before > 1 ? before - 1 : 0;
    Real v = cells.v[j], adaptation = cells.adaptation[j];
    if (before == 0 || m.reset != RESET_HARD) {
        const Real spike = spiked ? Real(1) : Real(0);
        v = m.decay[j] * v + m.gain[j] * current;
        if (m.reset == RESET_NEXT_STEP) v = v - m.threshold[j] * spike;
        v = m.v_min > v ? m.v_min : v;
        adaptation = m.adapt_decay[j] * adaptation + spike;
    }
    const Real u = v - (m.threshold[j] + m.adapt_beta[j] * adaptation);
    const bool able = refractory == 0, spikes = able && u >= Real(0);
    *psi = able ? (Real)pseudo_derivative(m.surrogate, (double)u, m.height, m.width) : Real(0);
    if (spikes && m.reset == RESET_HARD)
        v = m.v_reset;
    else if (spikes && m.reset == RESET_SUBTRACT)
        v -= m.threshold[j];
    cells.v[j] = v;
    cells.adaptation[j] = adaptation;
    cells.refractory[j] = spikes ? m.refractory_steps : refractory;
    return spikes;
}

// A step of all neurons, shared by threads `first`, `first` + 1, ... of `stride`: whole warps, so that 32 neurons make one word of
// `spikes`. `inputs` and `before` are the rows that arrive, `before` null where nothing does; psi: (n,).
template <class Real>
__device__ __forceinline__ void step_neurons(
    const Neurons<Real>& m, const Cells<Real>& cells, const Real* w, const uint32_t* inputs, const uint32_t* before, uint32_t* spikes,
    Real* psi, int first, int stride) {
    const int n_words = words_of(m.n), n_words_in = words_of(m.n_in);
    for (int base = 0; base < m.n; base += stride) {
        const int j = base + first;
        bool fires = false;
        if (j < m.n) {
            Real current = 0;
            add_rows(inputs, n_words_in, w, m.n, j, current);
            if (before) add_rows(before, n_words, w + (int64_t)m.n_in * m.n, m.n, j, current);
            fires = step_neuron(m, cells, j, current, before && is_set(before, j), psi + j);
        }
        const uint32_t word = __ballot_sync(FULL_WARP, fires);
        if (threadIdx.x % 32 == 0 && j < m.n) spikes[j / 32] = word;
    }
}

// Change one weight by one iteration.
template <class Real>
__device__ __forceinline__ Real descended(const Descent<Real>& d, Real rate, Real w, Real g, Real& mean, Real& square) {
    return bounded(d.numbers, w - (d.optimizer == OPTIMIZER_SGD ? d.numbers.rate * g : adam(d.numbers, rate, g, mean, square)));
}

// Let feedback follow weight (j, k) of the readout, which was `before`.
template <class Real>
__device__ __forceinline__ void follow_readout(const Neurons<Real>& m, const Descent<Real>& d, const Learned<Real>& l, int j, int k, Real before) {
    Real *w = l.w_out + (int64_t)j * m.n_out + k, *feedback = l.feedback + (int64_t)k * m.n + j;
    if (d.feedback == FEEDBACK_SYMMETRIC) {
        *feedback = d.follow_gain * *w;
    } else if (d.feedback == FEEDBACK_ADAPTIVE) {
        const Real change = d.follow_gain * (*w - before);
        *feedback = d.follow_shrink * (*feedback + change);
        *w = d.follow_shrink * *w;
    }
}
