/* A CUDA program for tests/gpu/containers: says what it sees of its GPUs, takes memory, keeps a GPU busy.
 *
 *   client look              devices, name, UUID, multiprocessors, and memory in MiB
 *   client take MIB          allocates so much memory, and says whether it got it
 *   client busy SECONDS MIB  holds memory and computes
 *
 * libcuda.so.1 is loaded as a container's programs find it; nothing of CUDA is needed to compile this. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int Status;
typedef unsigned long long Address;

/* Device attributes by their numbers in cuda.h. */
enum { MULTIPROCESSOR_COUNT = 16 };

static void *library;

/* A function of the driver, or the end. */
static void *function(const char *name) {
    void *found = dlsym(library, name);
    if (!found) {
        printf("error: libcuda.so.1 has no %s\n", name);
        exit(1);
    }
    return found;
}
#define CUDA(name, ...) ((Status(*)(__VA_ARGS__))function(#name))

static void must(const char *what, Status status) {
    const char *name = "?";
    if (status == 0) return;
    CUDA(cuGetErrorName, Status, const char **)(status, &name);
    printf("error: %s: %s (%d)\n", what, name, status);
    exit(1);
}

static int open_driver(void) {
    int count = 0;
    library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        printf("error: %s\n", dlerror());
        exit(1);
    }
    must("cuInit", CUDA(cuInit, unsigned)(0));
    must("cuDeviceGetCount", CUDA(cuDeviceGetCount, int *)(&count));
    printf("devices %d\n", count);
    return count;
}

static void use(int device) {
    void *context = NULL;
    must("cuDevicePrimaryCtxRetain", CUDA(cuDevicePrimaryCtxRetain, void **, int)(&context, device));
    must("cuCtxSetCurrent", CUDA(cuCtxSetCurrent, void *)(context));
}

static void describe(int device) {
    char name[128] = "";
    unsigned char uuid[16] = {0};
    int multiprocessors = 0;
    size_t available = 0, total = 0;
    use(device);
    must("cuDeviceGetName", CUDA(cuDeviceGetName, char *, int, int)(name, sizeof name, device));
    must("cuDeviceGetUuid_v2", CUDA(cuDeviceGetUuid_v2, void *, int)(uuid, device));
    must("cuDeviceGetAttribute", CUDA(cuDeviceGetAttribute, int *, int, int)(&multiprocessors, MULTIPROCESSOR_COUNT, device));
    must("cuMemGetInfo_v2", CUDA(cuMemGetInfo_v2, size_t *, size_t *)(&available, &total));
    printf("name %s\nuuid ", name);
    for (int i = 0; i < 16; i++) printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    printf("\nmultiprocessors %d\nmemory %zu of %zu\n", multiprocessors, available >> 20, total >> 20);
}

static Status take(size_t mib, Address *address) {
    return CUDA(cuMemAlloc_v2, Address *, size_t)(address, mib << 20);
}

/* Counts the GPU's own clock up by 50 million: some 30 ms. */
static const char SPIN[] =
    ".version 6.3\n.target sm_70\n.address_size 64\n"
    ".visible .entry spin(.param .u64 out) {\n"
    ".reg .u64 %t<4>; .reg .pred %p;\n"
    "ld.param.u64 %t3, [out];\n"
    "mov.u64 %t0, %clock64;\n"
    "again: mov.u64 %t1, %clock64; sub.u64 %t2, %t1, %t0;\n"
    "setp.lt.u64 %p, %t2, 50000000; @%p bra again;\n"
    "st.global.u64 [%t3], %t2; ret; }\n";

static void compute(double seconds, Address out) {
    void *module = NULL, *spin = NULL, *arguments[] = {&out};
    struct timespec start, now;
    long launches = 0;
    must("cuModuleLoadData", CUDA(cuModuleLoadData, void **, const void *)(&module, SPIN));
    must("cuModuleGetFunction", CUDA(cuModuleGetFunction, void **, void *, const char *)(&spin, module, "spin"));
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        must("cuLaunchKernel",
             CUDA(cuLaunchKernel, void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **)(
                 spin, 132, 1, 1, 64, 1, 1, 0, NULL, arguments, NULL));
        must("cuCtxSynchronize", CUDA(cuCtxSynchronize, void)());
        launches++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    printf("launches %ld\n", launches);
}

int main(int count, char **words) {
    Address address = 0;
    const char *task = count > 1 ? words[1] : "look";
    int devices;
    setvbuf(stdout, NULL, _IOLBF, 0);
    devices = open_driver();
    if (strcmp(task, "look") == 0) {
        for (int device = 0; device < devices; device++) describe(device);
    } else if (strcmp(task, "take") == 0 && count == 3) {
        use(0);
        must("cuMemAlloc_v2", take(strtoul(words[2], NULL, 10), &address));
        printf("taken\n");
    } else if (strcmp(task, "busy") == 0 && count == 4) {
        use(0);
        must("cuMemAlloc_v2", take(strtoul(words[3], NULL, 10), &address));
        printf("taken\n");
        compute(strtod(words[2], NULL), address);
    } else {
        printf("error: client look | take MIB | busy SECONDS MIB\n");
        return 2;
    }
    return 0;
}
