// What tells ThreadSanitizer about the shim's threads; stands in front of cuda_on_host.hpp, and does nothing unless LOOK_FOR_RACES is
// defined. Then every CUDA thread is one of the sanitizer's fibers, and what orders them is what does so on a device: barriers of a
// block, __syncwarp, and release and acquire of the barrier over the grid. Shuffles, votes and other atomics order nothing.
//
// Blocks that run one after another count as ordered, since they share stacks and static shared memory. In a cooperative launch of
// several blocks static shared memory is not looked at, because blocks take turns with it; what they do to arrays is.

#ifdef LOOK_FOR_RACES
extern "C" {
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
void AnnotateBenignRaceSized(const char* file, int line, const volatile void* address, unsigned long size, const char* description);
}
#define UNWATCHED __attribute__((no_sanitize_thread, noinline))  // for what switches between threads
// The sanitizer has its own idea of setjmp, which knows nothing of stacks of one's own.
typedef void* Place[5];
#define SAVE_PLACE(place) __builtin_setjmp(place)
#define GO_TO_PLACE(place) __builtin_longjmp(place, 1)

namespace races {
static inline void* this_thread() { return __tsan_get_current_fiber(); }
static inline void* new_thread() { return __tsan_create_fiber(0); }
UNWATCHED static void become(void* thread) { __tsan_switch_to_fiber(thread, 1); }  // 1: without ordering the two
static inline void release(void* token) { __tsan_release(token); }
static inline void acquire(void* token) { __tsan_acquire(token); }
static inline void shared_in_turns(void* address, unsigned long size) { AnnotateBenignRaceSized("", 0, address, size, ""); }

// While there is one, what this thread does is the shim's business.
struct Unseen {
    UNWATCHED Unseen() {
        AnnotateIgnoreReadsBegin("", 0);
        AnnotateIgnoreWritesBegin("", 0);
    }
    UNWATCHED ~Unseen() {
        AnnotateIgnoreWritesEnd("", 0);
        AnnotateIgnoreReadsEnd("", 0);
    }
};
}  // namespace races
#else
#include <setjmp.h>
#define UNWATCHED __attribute__((noinline))
typedef jmp_buf Place;
#define SAVE_PLACE(place) _setjmp(place)
#define GO_TO_PLACE(place) _longjmp(place, 1)

namespace races {
static inline void* this_thread() { return nullptr; }
static inline void* new_thread() { return nullptr; }
static inline void become(void*) {}
static inline void release(void*) {}
static inline void acquire(void*) {}
static inline void shared_in_turns(void*, unsigned long) {}
struct Unseen {
    Unseen() {}
};
}  // namespace races
#endif
