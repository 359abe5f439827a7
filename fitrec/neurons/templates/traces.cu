// Going forward with traces: factors of them (pp-prop), or those of every synapse (D-RTRL). Behind the text of gradient.cu; what
// pp-prop's factors are worth is gathered by back.cu.

// What pp-prop makes of the postsynaptic side.
struct Weighing {
    Real* traces;            // (trial, port, row, width)
    Real* products;          // (trial, n_steps / every, port, width)
    const Real* correction;  // (n_steps / every,), of the traces' beginning at 0
    Real keep, gain;         // the traces' decay per step, and 1 - keep
    int32_t every;           // 1 if there are signals on spikes, else that of the signals
};

// Weigh the postsynaptic traces with the signals, port by port.
extern "C" __global__ void __launch_bounds__(256, 2) model_weigh(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const Real* tape, const __grid_constant__ Signals signals,
    int n_steps, const __grid_constant__ Weighing w) {
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int i = cell % m.n, port = cell / m.n % N_PORTS, b = cell / m.n / N_PORTS;
    if (b >= m.n_trials) return;
    Real* own = w.traces + ((size_t)b * N_PORTS + port) * N_ROWS * m.width + i;
    Real e[N_ROWS];
    for (int k = 0; k < N_ROWS; ++k) e[k] = own[(size_t)k * m.width];
    for (int t = 0; t < n_steps; ++t) {
        trace(port, c, m, tape + ((size_t)b * n_steps + t) * N_KEPT * m.width, i, e, w.keep, w.gain);
        if ((t + 1) % w.every != 0) continue;
        Real total = 0;
        if (signals.n_rows > 0 && (t + 1) % signals.every == 0) {
            const Real* from = states_signal(m, signals, t, b) + i;
            for (int r = 0; r < signals.n_rows; ++r) total = mul_add(from[r * m.width], element(e, signals.rows[r]), total);
        }
        if (signals.with_spikes) total = mul_add(spikes_signal(m, signals, t, b)[i], e[N_ROWS - 1], total);
        const size_t row = (size_t)b * (n_steps / w.every) + t / w.every;
        w.products[(row * N_PORTS + port) * m.width + i] = total * w.correction[t / w.every];
    }
    for (int k = 0; k < N_ROWS; ++k) own[(size_t)k * m.width] = e[k];
}

// What pp-prop makes of the presynaptic side, seen from the spikes that made it.
struct Products {
    const Real* products;      // as of Weighing
    Real *filtered, *summed;   // (trial, port, width): sums of products, without and with the ports' own filters
    Real* arriving;            // (trial, chunk, port, width)
    const Real* filter_decay;  // (port,)
    Real decay;
    int32_t every, chunk;
};

// Go back over the products from step high - 1 to step low.
extern "C" __global__ void model_products(
    const __grid_constant__ Parameters m, const __grid_constant__ Span span, const __grid_constant__ Products p) {
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int i = cell % m.n, port = cell / m.n % N_PORTS, b = cell / m.n / N_PORTS;
    if (b >= m.n_trials) return;
    const size_t own = ((size_t)b * N_PORTS + port) * m.width + i;
    Real filtered = p.filtered[own], summed = p.summed[own];
    for (int t = span.high - 1; t >= span.low; --t) {
        Real product = 0;
        if ((t + 1) % p.every == 0)
            product = p.products[(((size_t)b * (span.n_steps / p.every) + t / p.every) * N_PORTS + port) * m.width + i];
        filtered = mul_add(p.decay, filtered, product);
        summed = mul_add(p.filter_decay[port], summed, filtered);
        p.arriving[(((size_t)b * p.chunk + (t - span.low)) * N_PORTS + port) * m.width + i] = summed;
    }
    p.filtered[own] = filtered;
    p.summed[own] = summed;
}

// Add what the traces from before the window, (trial, 2, port, source), are worth in it.
extern "C" __global__ void model_carry(
    const __grid_constant__ Parameters m, const __grid_constant__ Wiring w, const __grid_constant__ Products p,
    const Real* presynaptic, Real* gradient) {
    const int64_t warp = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) / 32;
    const int b = warp / m.n_sources, source = warp - (int64_t)b * m.n_sources;
    if (b >= m.n_trials) return;
    Real* sums = gradient + b * w.plastic_indptr[m.n_sources];
    for (int64_t k = w.plastic_indptr[source] + threadIdx.x % 32; k < w.plastic_indptr[source + 1]; k += 32) {
        const int target = w.plastic_target[k], port = target / m.width;
        const Real* own = presynaptic + ((size_t)b * 2 * N_PORTS + port) * m.n_sources + source;
        const Real filter = own[0], trace = own[(size_t)N_PORTS * m.n_sources];
        if (trace == Real(0)) continue;
        const size_t at = (size_t)b * N_PORTS * m.width + target;
        sums[k] = mul_add(p.decay * trace, p.filtered[at], sums[k]);
        sums[k] = mul_add(p.filter_decay[port] * filter, p.summed[at], sums[k]);
    }
}

// Advance the traces of the sources over a window; left: (port, step + 1, 3), what an arrival leaves after so many steps.
extern "C" __global__ void model_presynaptic(
    const __grid_constant__ Parameters m, const __grid_constant__ Arrivals arrivals, const Real* left, Real* presynaptic, int n_steps) {
    const int64_t cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int source = cell % m.n_sources, port = cell / m.n_sources % N_PORTS, b = cell / m.n_sources / N_PORTS;
    if (b >= m.n_trials) return;
    Real* own = presynaptic + ((size_t)b * 2 * N_PORTS + port) * m.n_sources + source;
    Real& trace = own[(size_t)N_PORTS * m.n_sources];
    const Real* after = left + (size_t)port * (n_steps + 1) * 3;
    const Real* whole = after + (size_t)n_steps * 3;
    Real y = whole[0] * own[0], x = whole[2] * trace + (whole[1] - whole[2]) * own[0];
    Column column = column_of(m, arrivals, n_steps, b, source);
    for (int t = 0; t < n_steps; ++t)
        for (int arrival = arrivals_in(column, t); arrival > 0; --arrival) {
            y += after[(size_t)(n_steps - 1 - t) * 3];
            x += after[(size_t)(n_steps - 1 - t) * 3 + 1];
        }
    own[0] = y;
    trace = x;
}

// Traces of every synapse.
struct Following {
    Real* traces;                        // (trial, row, synapse)
    const Real* filter;                  // (trial, port, source)
    Real* new_filter;                    // after the window
    const int64_t* quiet;                // (trial, source): steps since the last arrival
    int64_t* new_quiet;                  // after the window
    const int32_t* source;               // (synapse,)
    const Real* filter_decay;            // (port,)
    int64_t cutoff;                      // synapses of sources quiet for so long have no gradient
};

// Follow the eligibility trace of every synapse (D-RTRL), and add up the gradient.
extern "C" __global__ void __launch_bounds__(256, 2) model_follow(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const __grid_constant__ Wiring w,
    const __grid_constant__ Arrivals arrivals, const Real* tape, const __grid_constant__ Signals signals, int n_steps,
    const __grid_constant__ Following f, Real* gradient) {
    const int64_t synapses = w.plastic_indptr[m.n_sources], cell = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    const int64_t b = cell / synapses, k = cell - b * synapses;
    if (b >= m.n_trials) return;
    const int source = f.source[k], port = w.plastic_target[k] / m.width, i = w.plastic_target[k] - port * m.width;
    Real e[N_ROWS];
    for (int r = 0; r < N_ROWS; ++r) e[r] = f.traces[(b * N_ROWS + r) * synapses + k];
    const size_t own = ((size_t)b * N_PORTS + port) * m.n_sources + source;
    Real filtered = f.filter[own], sum = gradient[b * synapses + k];
    int64_t silence = f.quiet[b * m.n_sources + source];
    Column column = column_of(m, arrivals, n_steps, b, source);
    for (int t = 0; t < n_steps; ++t) {
        const Real here = (Real)arrivals_in(column, t);
        filtered = mul_add(f.filter_decay[port], filtered, here);
        silence = here > 0 ? 0 : silence + 1;
        trace(port, c, m, tape + ((size_t)b * n_steps + t) * N_KEPT * m.width, i, e, Real(1), filtered);
        if (silence >= f.cutoff) continue;
        if (signals.n_rows > 0 && (t + 1) % signals.every == 0) {
            const Real* from = states_signal(m, signals, t, b) + i;
            for (int r = 0; r < signals.n_rows; ++r) sum = mul_add(from[r * m.width], element(e, signals.rows[r]), sum);
        }
        if (signals.with_spikes) sum = mul_add(spikes_signal(m, signals, t, b)[i], e[N_ROWS - 1], sum);
    }
    for (int r = 0; r < N_ROWS; ++r) f.traces[(b * N_ROWS + r) * synapses + k] = e[r];
    gradient[b * synapses + k] = sum;
    f.new_filter[own] = filtered;
    f.new_quiet[b * m.n_sources + source] = silence;
}
