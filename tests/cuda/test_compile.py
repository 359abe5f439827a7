"""Every CUDA file compiles for the architectures that fitrec is meant for, within its registers and without spilling any."""

import pytest

from fitrec.kernels.cuda.compile import OPTIONS, CompilationError, compile_cuda
from fitrec.kernels.cuda.source import kernels, modules, source
from tests.cuda.nvrtc import usage

pytest.importorskip("cupy", reason="NVRTC is reached through CuPy, which is not installed")

# Most registers per thread: 65,536 are shared by the threads that run on one multiprocessor at the same time.
REGISTERS = {
    "philox_words": 40,
    "fill_normal": 40,
    "lif_run": 64,
    "lif_initial_voltage": 40,
    "ridge_solve": 128,
    "ridge_cross": 64,
    "ridge_keep": 64,
    "records_add": 40,
    "records_add_spikes": 40,
    "rls_one_pass": 96,
    "rls_first_pass": 96,
    "rls_second_pass": 40,
    "rls_step": 80,
    "rls_flush": 80,
    "rls_added": 40,
    "rls_bias": 40,
    "rls_fix_weights": 40,
}


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("module", modules())
def test_compiles_without_spills(module: str, architecture: str) -> None:
    found = usage(source(module), architecture)
    assert sorted(found) == sorted(kernels(source(module)))
    for kernel, used in found.items():
        assert used.spilled == 0, f"{kernel} spills {used.spilled} bytes"
        assert used.stack == 0, f"{kernel} keeps {used.stack} bytes in local memory"
        assert used.registers <= REGISTERS[kernel], f"{kernel} takes {used.registers} registers"


def test_a_kernel_with_too_many_live_values_is_caught() -> None:
    text = """
    extern "C" __global__ void __launch_bounds__(1024) crowded(float* x, int n) {
        float a[200];
        #pragma unroll
        for (int i = 0; i < 200; ++i) a[i] = x[i * n];
        __syncthreads();
        #pragma unroll
        for (int i = 0; i < 200; ++i) x[i * n] = a[i] * a[(i * 7 + 3) % 200];
    }"""
    assert usage(text, "sm_90")["crowded"].spilled > 0


def test_an_error_names_the_line() -> None:
    with pytest.raises(CompilationError, match=r"(?s)for sm_80.*wrong\.cu\(7\): error"):
        compile_cuda('#line 7 "wrong.cu"\nint x = y;\n', "sm_80")


def test_operations_round_as_on_the_cpu() -> None:
    """No fusing where numba rounds twice, no flushing of denormal numbers, no approximate division or root."""
    from cupy_backends.cuda.libs import nvrtc

    text = 'extern "C" __global__ void f(float* x) { x[0] = sqrtf(x[1] * x[2] + x[3]) / x[4]; }'
    program = nvrtc.createProgram(text, "f.cu", [], [])
    nvrtc.compileProgram(program, [*OPTIONS, "--gpu-architecture=compute_90"])
    ptx = nvrtc.getPTX(program)
    nvrtc.destroyProgram(program)
    code = ptx if isinstance(ptx, str) else ptx.decode()
    assert "mul.rn.f32" in code
    assert "div.rn.f32" in code
    assert "sqrt.rn.f32" in code
    assert "fma" not in code
    assert "ftz" not in code
    assert "approx" not in code
