/* The time loop in plain C, for comparison with the numba kernels: the same arithmetic, one thread, static synapses only.
   Compile with -DINDEX=uint16_t or uint32_t, -ffp-contract=off. */
#include <math.h>
#include <stdint.h>

#define BLOCK 256
#define LANES 128

typedef struct {
    float decay_v, gain_x, gain_s, gain_p, threshold, reset, noise;
    int32_t refractory_steps;
    float decay_s, charge_s, decay_p, charge_p;
} Constants;

static inline float deviate(uint32_t word, float scale) { return (float)(__builtin_popcount(word) - 16) * scale; }

/* Membrane noise of the neurons GROUP * group and on: a deviate is the number of ones of a word of Philox4x32-10 (Salmon et al. 2011). */
static void fill_deviates(float *restrict out, uint32_t group, uint32_t step, uint32_t seed, uint32_t stream, float scale) {
    for (uint32_t lane = 0; lane < LANES; lane++) {
        uint32_t c0 = group * LANES + lane, c1 = step, c2 = 0, c3 = 0, k0 = seed, k1 = stream;
        for (int round = 0; round < 10; round++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
            uint32_t y0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, y2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
            c1 = (uint32_t)p1;
            c3 = (uint32_t)p0;
            c0 = y0;
            c2 = y2;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        out[lane] = deviate(c0, scale);
        out[LANES + lane] = deviate(c1, scale);
        out[2 * LANES + lane] = deviate(c2, scale);
        out[3 * LANES + lane] = deviate(c3, scale);
    }
}

static int update(int n, const Constants k, const float *restrict x, float *restrict v, float *restrict u_static,
                  float *restrict u_plastic, int64_t *restrict in_static, int64_t *restrict in_plastic,
                  int32_t *restrict refractory) {
    const float to_float = 1.0f / 4294967296.0f;
    int32_t any = 0;
    for (int i = 0; i < n; i++) {
        float us = fmaf(k.decay_s, u_static[i], (float)in_static[i] * to_float * k.charge_s);
        float up = fmaf(k.decay_p, u_plastic[i], (float)in_plastic[i] * to_float * k.charge_p);
        in_static[i] = 0;
        in_plastic[i] = 0;
        u_static[i] = us;
        u_plastic[i] = up;
        float drive = fmaf(k.gain_x, x[i], fmaf(k.gain_s, us, k.gain_p * up));
        int32_t ready = refractory[i] == 0;
        float vi = ready ? fmaf(k.decay_v, v[i], drive) : v[i];
        v[i] = vi;
        int32_t fires = ready & (vi > k.threshold);
        refractory[i] = (ready ? 0 : refractory[i] - 1) - fires;
        any |= fires;
    }
    return any;
}

/* Advance n neurons by n_steps from step 0; `spikes` has room for n. */
void advance(int n, int n_steps, const Constants *constants, uint32_t seed, uint32_t noise_stream, float noise_scale,
             const int64_t *indptr, const INDEX *indices, const int64_t *run_indptr, const int64_t *run_end,
             const int64_t *run_fixed, const float *x, float *v, float *u_static, float *u_plastic, int64_t *in_static,
             int64_t *in_plastic, int32_t *refractory, int32_t *spikes, uint16_t *counts) {
    const Constants k = *constants;
    float deviates[4 * LANES];
    for (int step = 0; step < n_steps; step++) {
        int count = 0;
        if (k.noise > 0)
            for (int start = 0; start < n; start += 4 * LANES) {
                int size = n - start < 4 * LANES ? n - start : 4 * LANES;
                fill_deviates(deviates, start / (4 * LANES), step, seed, noise_stream, noise_scale);
                for (int i = 0; i < size; i++) v[start + i] = fmaf(k.noise, deviates[i], v[start + i]);
            }
        for (int start = 0; start < n; start += BLOCK) {
            int size = n - start < BLOCK ? n - start : BLOCK;
            if (update(size, k, x + start, v + start, u_static + start, u_plastic + start, in_static + start,
                       in_plastic + start, refractory + start))
                for (int i = start; i < start + size; i++)
                    if (refractory[i] < 0) {
                        v[i] = k.reset;
                        refractory[i] = k.refractory_steps;
                        counts[i]++;
                        spikes[count++] = i;
                    }
        }
        for (int j = 0; j < count; j++) {
            int64_t synapse = indptr[spikes[j]];
            for (int64_t run = run_indptr[spikes[j]]; run < run_indptr[spikes[j] + 1]; run++)
                for (; synapse < run_end[run]; synapse++)
                    in_static[indices[synapse]] += run_fixed[run];
        }
    }
}
