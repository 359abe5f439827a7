// Tiles of matrix products in float64: each element is one thread's, a chain of fused multiply-adds from zero in ascending order.
#pragma once

#define PRODUCT_BLOCK 256
#define PRODUCT_TILE 64
#define PRODUCT_SIDE 16   // threads along a side of a tile
#define PRODUCT_PER 4     // elements of a tile per thread and direction
#define PRODUCT_CHUNK 16  // of the summed index in shared memory

typedef double ProductChunk[PRODUCT_CHUNK][PRODUCT_TILE + 1];

// Shared memory of a block.
struct ProductChunks {
    ProductChunk left, right;
};

// Fill a chunk with value(i, k) for i < n and k < depth, zeros beyond n. Neighbouring threads take neighbouring k, or neighbouring i.
template <bool ALONG_DEPTH, class Value>
__device__ __forceinline__ void load_chunk(ProductChunk& chunk, int n, int depth, Value value) {
    for (int at = threadIdx.x; at < PRODUCT_TILE * PRODUCT_CHUNK; at += PRODUCT_BLOCK) {
        const int i = ALONG_DEPTH ? at / PRODUCT_CHUNK : at % PRODUCT_TILE;
        const int k = ALONG_DEPTH ? at % PRODUCT_CHUNK : at / PRODUCT_TILE;
        if (k < depth) chunk[k][i] = i < n ? value(i, k) : 0.0;
    }
}

// Hand put(i, j, x) the elements x = sum over k < depth of left(i, k) right(j, k) of a tile of n_left x n_right. The block has 256
// threads; all reach this. left lies along k in memory; right does too, or along j.
template <bool RIGHT_ALONG_DEPTH, class Left, class Right, class Put>
__device__ __forceinline__ void multiply_tile(
    ProductChunks& chunks, int n_left, int n_right, int depth, Left left, Right right, Put put) {
    const int row = threadIdx.x / PRODUCT_SIDE, column = threadIdx.x % PRODUCT_SIDE;
    double sums[PRODUCT_PER][PRODUCT_PER] = {};
    for (int first = 0; first < depth; first += PRODUCT_CHUNK) {
        const int length = min(PRODUCT_CHUNK, depth - first);
        __syncthreads();  // the chunk before has been read
        load_chunk<true>(chunks.left, n_left, length, [&](int i, int k) { return left(i, first + k); });
        load_chunk<RIGHT_ALONG_DEPTH>(chunks.right, n_right, length, [&](int j, int k) { return right(j, first + k); });
        __syncthreads();
        for (int k = 0; k < length; ++k) {
            double a[PRODUCT_PER], b[PRODUCT_PER];
#pragma unroll
            for (int m = 0; m < PRODUCT_PER; ++m) {
                a[m] = chunks.left[k][row + PRODUCT_SIDE * m];
                b[m] = chunks.right[k][column + PRODUCT_SIDE * m];
            }
#pragma unroll
            for (int m = 0; m < PRODUCT_PER; ++m)
#pragma unroll
                for (int o = 0; o < PRODUCT_PER; ++o) sums[m][o] = fma(a[m], b[o], sums[m][o]);
        }
    }
#pragma unroll
    for (int m = 0; m < PRODUCT_PER; ++m)
#pragma unroll
        for (int o = 0; o < PRODUCT_PER; ++o) {
            const int i = row + PRODUCT_SIDE * m, j = column + PRODUCT_SIDE * o;
            if (i < n_left && j < n_right) put(i, j, sums[m][o]);
        }
}

// All tiles of n_left x n_right, a block at a time: `multiply_tile` with indices that count from the whole matrix's beginning.
template <bool RIGHT_ALONG_DEPTH, class Left, class Right, class Put>
__device__ __forceinline__ void multiply(int n_left, int n_right, int depth, Left left, Right right, Put put) {
    __shared__ ProductChunks chunks;
    const int across = (n_right + PRODUCT_TILE - 1) / PRODUCT_TILE;
    const int tiles = (n_left + PRODUCT_TILE - 1) / PRODUCT_TILE * across;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int i = tile / across * PRODUCT_TILE, j = tile % across * PRODUCT_TILE;
        multiply_tile<RIGHT_ALONG_DEPTH>(
            chunks, min(PRODUCT_TILE, n_left - i), min(PRODUCT_TILE, n_right - j), depth,
            [&](int a, int k) { return left(i + a, k); }, [&](int b, int k) { return right(j + b, k); },
            [&](int a, int b, double x) { put(i + a, j + b, x); });
    }
}
