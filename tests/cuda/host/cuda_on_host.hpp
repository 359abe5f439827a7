// Runs CUDA kernels on the CPU, for tests: the file under test is included after this one and compiled by a host C++20 compiler.
//
// Every CUDA thread is a fiber (a stack of its own, switched with setjmp/longjmp on one thread of the operating system), so that a
// barrier costs a few switches. Blocks run one after another, or, in a cooperative launch, in turns until all have finished, each
// going on until all its threads wait. Shared memory is filled with rubbish when a block starts. The order of threads and blocks can
// be reversed: results that depend on it betray a race. What cannot happen on a device either is an error: differing masks in one
// warp operation, a barrier that not every thread reaches.
//
// Not reproduced: timing, occupancy, weakly ordered memory, the device's rounding of exp and log (the kernels use none).
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#define CUDA_ON_HOST 1
#define __global__
#define __device__ static
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
// All static shared variables stand in one section of the library, which is exchanged when another block goes on.
#define __shared__ static __attribute__((section("cuda_shared")))
#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(cuda_on_host::block->dynamic.data())

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;
constexpr unsigned warpSize = 32;

extern char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));

namespace cuda_on_host {

constexpr std::size_t STACK_BYTES = 128 * 1024;
constexpr char RUBBISH = 0x5a, BEYOND = 0x3c;
constexpr std::size_t SLOTS_BEYOND = 64;  // behind a block's dynamic shared memory, to see who writes there

struct alignas(16) Slot {
    char bytes[16];
};

// Threads that wait for one another. A result belongs to one round; nobody can be more than one round ahead.
struct Meeting {
    unsigned live = 0, arrived = 0, mask = 0;
    std::uint64_t round = 0;
    std::uint64_t sum[2] = {0, 0};
    unsigned posted[2] = {0, 0};  // lanes whose value stands in the slots
    Slot slots[2][32];
};

struct Fiber {
    Fiber() : stack(mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    ~Fiber() { munmap(stack, STACK_BYTES); }
    Fiber(const Fiber&) = delete;
    void* stack;
    Place where;
    void* known_as = races::new_thread();
    bool started = false, busy = false;
    unsigned index = 0;
};

struct Block {
    unsigned index = 0;
    std::vector<Fiber*> fibers;
    unsigned busy = 0;
    Meeting all;
    std::vector<Meeting> warps;
    std::vector<Slot> dynamic;
    std::vector<char> statics;
};

static std::vector<std::unique_ptr<Fiber>> pool;
static Block* block;
static Fiber* fiber;
static Place scheduler;
static void* scheduler_known_as;
static char launched, finished, block_finished[2];  // tokens of what comes before what
static unsigned block_number;
static bool together;
static std::function<void()> work;
static bool progress;
static std::string failure;

[[noreturn]] UNWATCHED static void leave() {
    races::become(scheduler_known_as);
    GO_TO_PLACE(scheduler);
}

UNWATCHED static void yield() {
    if (SAVE_PLACE(fiber->where) == 0) leave();
}

[[noreturn]] static void fail(const std::string& what) {
    failure = what + ": block " + std::to_string(blockIdx.x) + ", thread " + std::to_string(threadIdx.x);
    leave();
}

static void finish_round(Meeting& m) {
    m.arrived = 0;
    ++m.round;
    m.sum[m.round & 1] = 0;
    m.posted[m.round & 1] = 0;
}

// Wait until `wanted` threads have come; returns the parity under which this round's values stand. `orders`: what a thread did before
// it came is seen by all afterwards.
static unsigned meet(Meeting& m, unsigned wanted, bool orders) {
    const races::Unseen unseen;
    const std::uint64_t round = m.round;
    if (orders) races::release(&m.sum[round & 1]);
    progress = true;
    if (++m.arrived == wanted)
        finish_round(m);
    else
        while (m.round == round) yield();
    if (orders) races::acquire(&m.sum[round & 1]);
    return round & 1;
}

static unsigned meet_block(unsigned value) {
    const races::Unseen unseen;
    block->all.sum[block->all.round & 1] += value;
    return meet(block->all, block->all.live, true);
}

static void retire() {
    const races::Unseen unseen;
    progress = true;
    fiber->busy = false;
    --block->busy;
    Meeting& warp = block->warps[fiber->index / warpSize];
    for (Meeting* m : {&warp, &block->all})
        if (--m->live && m->arrived == m->live) finish_round(*m);  // a thread that has returned counts as arrived
}

UNWATCHED static void body() {
    for (;;) {
        races::acquire(&launched);
        if (!together) races::acquire(&block_finished[(block_number + 1) & 1]);
        work();
        races::release(&finished);
        if (!together) races::release(&block_finished[block_number & 1]);
        retire();
        yield();
    }
}

[[noreturn]] UNWATCHED static void go_on(Fiber* next) {
    races::become(next->known_as);
    GO_TO_PLACE(next->where);
}

UNWATCHED static void resume(Fiber* next) {
    if (SAVE_PLACE(scheduler) != 0) return;
    fiber = next;
    const unsigned t = next->index;
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
    if (next->started) go_on(next);
    next->started = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = next->stack;
    context.uc_stack.ss_size = STACK_BYTES;
    context.uc_link = nullptr;
    makecontext(&context, body, 0);
    races::become(next->known_as);
    setcontext(&context);
}

static std::size_t static_bytes() { return __stop_cuda_shared - __start_cuda_shared; }

static void start(Block& b, unsigned index, unsigned threads, std::size_t shared, std::size_t first_fiber) {
    b.index = index;
    b.busy = threads;
    ++block_number;
    b.dynamic.resize((shared + sizeof(Slot) - 1) / sizeof(Slot) + SLOTS_BEYOND);
    std::memset(b.dynamic.data(), BEYOND, b.dynamic.size() * sizeof(Slot));
    std::memset(b.dynamic.data(), RUBBISH, shared);
    b.statics.assign(static_bytes(), RUBBISH);
    b.all = Meeting();
    b.all.live = threads;
    b.warps.assign((threads + warpSize - 1) / warpSize, Meeting());
    b.fibers.clear();
    for (unsigned t = 0; t < threads; ++t) {
        if (pool.size() <= first_fiber + t) pool.push_back(std::make_unique<Fiber>());
        Fiber* f = pool[first_fiber + t].get();
        f->index = t;
        f->busy = true;
        ++b.warps[t / warpSize].live;
        b.fibers.push_back(f);
    }
}

// Let the threads of a block go on until all of them wait for other blocks or have returned; returns whether anything happened.
static bool run(Block& b, bool reverse) {
    bool any = false;
    block = &b;
    blockIdx = {b.index, 0, 0};
    if (static_bytes()) std::memcpy(__start_cuda_shared, b.statics.data(), static_bytes());
    do {
        progress = false;
        for (std::size_t i = 0; i < b.fibers.size() && failure.empty(); ++i) {
            Fiber* f = b.fibers[reverse ? b.fibers.size() - 1 - i : i];
            if (f->busy) resume(f);
        }
        any |= progress;
    } while (progress && b.busy && failure.empty());
    if (static_bytes()) std::memcpy(b.statics.data(), __start_cuda_shared, static_bytes());
    return any;
}

// Whether a block wrote behind the `shared` bytes of dynamic shared memory that it was given.
static bool wrote_beyond(const Block& b, std::size_t shared) {
    const char* bytes = b.dynamic.data()->bytes;
    return std::any_of(bytes + shared, bytes + b.dynamic.size() * sizeof(Slot), [](char byte) { return byte != BEYOND; });
}

static const char* run_grid(unsigned grid, unsigned threads, std::size_t shared, bool cooperative, bool reverse) {
    static std::mutex one_at_a_time;
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    scheduler_known_as = races::this_thread();
    cuda_on_host::together = cooperative;
    races::release(&launched);
    if (cooperative && grid > 1 && static_bytes()) races::shared_in_turns(__start_cuda_shared, static_bytes());
    const races::Unseen unseen;
    failure.clear();
    gridDim = {grid, 1, 1};
    blockDim = {threads, 1, 1};
    std::vector<Block> blocks(cooperative ? grid : 1);
    for (unsigned first = 0; first < grid && failure.empty(); first += blocks.size()) {
        for (std::size_t i = 0; i < blocks.size(); ++i)
            start(blocks[i], reverse ? grid - 1 - (first + i) : first + i, threads, shared, i * threads);
        unsigned busy = 1, idle = 0;
        while (busy && failure.empty()) {
            busy = 0;
            bool any = false;
            for (Block& b : blocks) {
                if (b.busy && failure.empty()) any |= run(b, reverse);
                busy += b.busy;
            }
            idle = any ? 0 : idle + 1;
            if (idle == 3) failure = "deadlock: threads wait for others that never come";
        }
        for (const Block& b : blocks)
            if (failure.empty() && wrote_beyond(b, shared)) failure = "more dynamic shared memory is written than a block has";
    }
    races::acquire(&finished);
    if (!failure.empty()) pool.clear();  // fibers that were left in the middle of a kernel
    return failure.empty() ? nullptr : failure.c_str();
}

template <class... A>
const char* launch(
    void (*kernel)(A...), unsigned grid, unsigned threads, std::size_t shared, int cooperative, int reverse, void** args) {
    work = [=] {
        [&]<std::size_t... i>(std::index_sequence<i...>) { kernel(*static_cast<A*>(args[i])...); }(
            std::index_sequence_for<A...>());
    };
    return run_grid(grid, threads, shared, cooperative, reverse);
}

// Bytes of each parameter.
template <class... A>
int sizes(void (*)(A...), std::size_t* out) {
    std::size_t all[] = {sizeof(A)...};
    std::copy(std::begin(all), std::end(all), out);
    return sizeof...(A);
}

// Every lane of the mask posts a value; then each may read any other's. Returns the parity under which they stand.
template <class T>
unsigned post(Meeting& warp, unsigned mask, T value, bool orders = false) {
    const races::Unseen unseen;
    static_assert(sizeof(T) <= sizeof(Slot));
    if (warp.arrived == 0)
        warp.mask = mask;
    else if (warp.mask != mask)
        fail("lanes of a warp come to an operation with differing masks");
    const unsigned parity = warp.round & 1, lane = threadIdx.x % warpSize;
    std::memcpy(warp.slots[parity][lane].bytes, &value, sizeof(T));
    warp.posted[parity] |= 1u << lane;
    return meet(warp, std::min<unsigned>(warp.live, __builtin_popcount(mask)), orders);
}

static Meeting& own_warp() { return block->warps[threadIdx.x / warpSize]; }

template <class T>
T shuffle(unsigned mask, T value, unsigned from) {
    const races::Unseen unseen;
    Meeting& warp = own_warp();
    const unsigned parity = post(warp, mask, value);
    const bool there = from < warpSize && (warp.posted[parity] >> from & 1);  // else it keeps its own, as on the device
    if (there) std::memcpy(&value, warp.slots[parity][from].bytes, sizeof(T));
    return value;
}

static unsigned vote(unsigned mask, bool predicate) {
    const races::Unseen unseen;
    Meeting& warp = own_warp();
    const unsigned parity = post(warp, mask, predicate);
    unsigned votes = 0;
    for (unsigned i = 0; i < warpSize; ++i)
        if (warp.posted[parity] >> i & 1) votes |= unsigned(warp.slots[parity][i].bytes[0] != 0) << i;
    return votes;
}

}  // namespace cuda_on_host

static inline void __syncthreads() { cuda_on_host::meet_block(0); }
static inline int __syncthreads_count(int p) {
    const races::Unseen unseen;
    const unsigned parity = cuda_on_host::meet_block(p != 0);
    return int(cuda_on_host::block->all.sum[parity]);
}
static inline int __syncthreads_or(int p) { return __syncthreads_count(p) != 0; }
static inline int __syncthreads_and(int p) { return __syncthreads_count(!p) == 0; }
static inline void __syncwarp(unsigned mask = ~0u) {
    const races::Unseen unseen;
    cuda_on_host::post(cuda_on_host::own_warp(), mask, 0, true);
}
static inline void spin_wait() {
    const races::Unseen unseen;
    cuda_on_host::yield();
}
static inline void release_one(unsigned* count) { __atomic_fetch_add(count, 1u, __ATOMIC_RELEASE); }
static inline unsigned acquire(const unsigned* count) { return __atomic_load_n(count, __ATOMIC_ACQUIRE); }
static inline void __threadfence() {}

template <class T>
T __shfl_sync(unsigned mask, T v, int source) {
    return cuda_on_host::shuffle(mask, v, unsigned(source) % warpSize);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta) {
    return cuda_on_host::shuffle(mask, v, threadIdx.x % warpSize + delta);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta) {
    return cuda_on_host::shuffle(mask, v, threadIdx.x % warpSize - delta);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, unsigned bits) {
    return cuda_on_host::shuffle(mask, v, threadIdx.x % warpSize ^ bits);
}
static inline unsigned __ballot_sync(unsigned mask, bool p) { return cuda_on_host::vote(mask, p); }
static inline int __any_sync(unsigned mask, bool p) { return cuda_on_host::vote(mask, p) != 0; }
static inline int __all_sync(unsigned mask, bool p) { return cuda_on_host::vote(mask, !p) == 0; }

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __ffs(unsigned v) { return __builtin_ffs(int(v)); }
static inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
static inline float __int_as_float(int v) { return std::bit_cast<float>(v); }
static inline double __longlong_as_double(long long v) { return std::bit_cast<double>(v); }
static inline long long __double_as_longlong(double v) { return std::bit_cast<long long>(v); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
template <class T>
T __ldg(const T* p) {
    return *p;
}
template <class T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
    return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> v) {
    T old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(p, &old, std::min(old, v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> v) {
    T old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(p, &old, std::max(old, v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}
using std::max;
using std::min;
