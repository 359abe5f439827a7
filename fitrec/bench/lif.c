/* The time loop in plain C, for comparison with the numba kernels: the same arithmetic, one thread, static synapses only.
   Compile with -DINDEX=uint16_t or uint32_t, -ffp-contract=off. */
#include <math.h>
#include <stdint.h>

#define BLOCK 256

typedef struct {
    float decay_v, gain_x, gain_s, gain_p, threshold, reset, noise;
    int32_t refractory_steps;
    float decay_s, charge_s, decay_p, charge_p;
} Constants;

/* Philox4x32-10 (Salmon et al. 2011); a normal deviate is the scaled sum of the eight 16-bit words of one call. */
static inline float normal(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1, float scale) {
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
    int32_t total = (c0 & 0xFFFF) + (c0 >> 16) + (c1 & 0xFFFF) + (c1 >> 16);
    total += (c2 & 0xFFFF) + (c2 >> 16) + (c3 & 0xFFFF) + (c3 >> 16);
    return (float)(total - 262140) * scale;
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
    for (int step = 0; step < n_steps; step++) {
        int count = 0;
        if (k.noise > 0)
            for (int i = 0; i < n; i++)
                v[i] = fmaf(k.noise, normal(i, step, 0, 0, seed, noise_stream, noise_scale), v[i]);
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
