/* A CUDA driver without a GPU, for tests: memory is that of the host, kernels do nothing but count.

   It shows what the bindings really call, with which addresses and values, and how long the host takes for it.
   stub_memory limits the memory; of the first stub_parameters parameters of the last launch, stub_words has the values. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DO { return 0; }
int stub_launches, stub_loaded, stub_parameters, stub_major = 9, stub_minor = 0;
size_t stub_memory = (size_t)1 << 40, stub_used;
uint64_t stub_words[512];
unsigned stub_sizes[6];
static int recording, recorded;
static __thread void *current;
static char context, stream, module_, function;

static int unknown(void) { return 999; }
int cuGetProcAddress_v2(const char *name, void **found, int version, unsigned long long flags, int *status) {
    *found = dlsym(RTLD_DEFAULT, name);
    if (!*found) *found = (void *)unknown;
    if (status) *status = 0;
    return 0;
}
int cuGetProcAddress(const char *name, void **found, int version, unsigned long long flags) {
    return cuGetProcAddress_v2(name, found, version, flags, 0);
}
int cuGetErrorName(int code, const char **text) { *text = "CUDA_ERROR_STUB"; return 0; }
int cuGetErrorString(int code, const char **text) { *text = "an error of the stub"; return 0; }
int cuInit(unsigned flags) DO
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int number) { *device = 0; return 0; }
int cuDeviceGetName(char *text, int room, int device) { strncpy(text, "NVIDIA Stub GPU", room); return 0; }
int cuDeviceGetAttribute(int *value, int kind, int device) {
    *value = kind == 75 ? stub_major : kind == 76 ? stub_minor : 0;
    return 0;
}
int cuDevicePrimaryCtxRetain(void **found, int device) { *found = &context; return 0; }
int cuCtxSetCurrent(void *wanted) { current = wanted; return 0; }
int cuStreamCreate(void **found, unsigned flags) { *found = &stream; return current ? 0 : 201; }
int cuStreamSynchronize(void *s) DO
int cuStreamBeginCapture(void *s, int mode) { recording = 1; recorded = 0; return 0; }
int cuStreamEndCapture(void *s, void **graph) {
    recording = 0;
    *graph = malloc(sizeof(int));
    *(int *)*graph = recorded;
    return 0;
}
int cuGraphInstantiate(void **ready, void *graph, unsigned long long flags) {
    *ready = malloc(sizeof(int));
    *(int *)*ready = *(int *)graph;
    return 0;
}
int cuGraphInstantiateWithFlags(void **ready, void *graph, unsigned long long flags) {
    return cuGraphInstantiate(ready, graph, flags);
}
int cuGraphLaunch(void *ready, void *s) { stub_launches += *(int *)ready; return 0; }
int cuGraphExecDestroy(void *ready) { free(ready); return 0; }
int cuGraphDestroy(void *graph) { free(graph); return 0; }
int cuMemAlloc(void **pointer, size_t size) {
    if (!current) return 201;
    if (stub_used + size > stub_memory) return 2;
    size_t *block = malloc(size + 512);
    *block = size;
    stub_used += size;
    *pointer = (char *)block + 512;
    return 0;
}
int cuMemFree(void *pointer) {
    size_t *block = (size_t *)((char *)pointer - 512);
    stub_used -= *block;
    free(block);
    return 0;
}
int cuMemGetInfo(size_t *free_, size_t *total) { *free_ = stub_memory - stub_used; *total = stub_memory; return 0; }
int cuMemcpyHtoDAsync(void *to, const void *from, size_t size, void *s) { memcpy(to, from, size); return 0; }
int cuMemcpyDtoHAsync(void *to, const void *from, size_t size, void *s) { memcpy(to, from, size); return 0; }
int cuModuleLoadData(void **found, const void *image) { stub_loaded++; *found = &module_; return 0; }
int cuModuleGetFunction(void **found, void *module, const char *name) { *found = &function; return 0; }
int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *s, void **parameters, void **extra) {
    if (!current) return 201;
    if (recording) recorded++; else stub_launches++;
    unsigned sizes[6] = {gx, gy, gz, bx, by, bz};
    memcpy(stub_sizes, sizes, sizeof sizes);
    for (int k = 0; k < stub_parameters; k++) memcpy(&stub_words[k], parameters[k], 8);
    return 0;
}
int cuEventCreate(void **found, unsigned flags) { *found = &stream; return 0; }
int cuEventRecord(void *event, void *s) DO
int cuEventSynchronize(void *event) DO
int cuEventElapsedTime(float *milliseconds, void *begin, void *end) { *milliseconds = 1; return 0; }
int cuEventDestroy(void *event) DO
