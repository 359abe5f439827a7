"""Every CUDA file compiles for the architectures that fitrec is meant for, within its registers and without spilling any."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cuda.compile import OPTIONS, CompilationError, compile_cuda, compiled
from fitrec.kernels.cuda.source import kernels, modules, source, with_constants
from fitrec.neurons.blocks import make_blocks
from fitrec.neurons.load import library_names
from fitrec.neurons.print_cuda import cuda_functions, cuda_module
from tests.cuda.nvrtc import Usage, usage
from tests.model_cases import model_of

pytest.importorskip("cupy", reason="NVRTC is reached through CuPy, which is not installed")

# Most registers per thread: 65,536 are shared by the threads that run on one multiprocessor at the same time.
REGISTERS = {
    "columns_reduce": 128,
    "columns_moment": 128,
    "columns_drive": 40,
    "columns_weights": 128,
    **dict.fromkeys(
        (f"eprop_{name}_{real}" for name in ("run", "respond", "back", "update", "update_out") for real in ("float", "double")),
        64,
    ),
    "eprop_sequence_float": 64,
    "eprop_sequence_double": 64,
    "drive_misses": 64,
    "drive_move": 40,
    "drive_correct": 40,
    "drive_plastic": 40,
    "drive_forced": 40,
    "drive_not_finite": 40,
    "fill_membrane_deviates": 40,
    "philox_words": 40,
    "fill_normal": 40,
    "learned_flat": 40,
    "learned_add": 40,
    "learned_parameter": 48,
    "learned_shorten": 48,
    "lif_run": 64,
    "lif_initial_voltage": 40,
    "optimise_update_float": 40,
    "optimise_update_double": 64,
    "optimise_squares_float": 40,
    "optimise_squares_double": 40,
    "optimise_divide_float": 40,
    "optimise_divide_double": 40,
    "ridge_solve": 128,
    "ridge_cross": 64,
    "ridge_average": 40,
    "ridge_keep": 64,
    "recurring_units": 64,
    "recurring_gram": 128,
    "recurring_add": 40,
    "recurring_filter": 128,
    "records_add": 40,
    "records_mean": 40,
    "records_add_spikes": 40,
    "records_add_current": 40,
    "records_totals": 40,
    "rls_one_pass": 96,
    "rls_first_pass": 96,
    "rls_second_pass": 40,
    "rls_step": 80,
    "rls_flush": 80,
    "rls_step_packed": 80,
    "rls_flush_packed": 80,
    "rls_step_int16": 80,
    "rls_flush_int16": 80,
    "rls_added": 40,
    "rls_bias": 40,
    "psth_rates": 40,
    "psth_smooth": 64,
    "psth_moments": 64,
    **dict.fromkeys(
        ("rate_means", "rate_blend", "rate_totals", "rate_smoothed", "rate_slopes", "rate_signals", "rate_online"), 48
    ),
    "shared_products": 128,
    "shared_sum": 40,
    "shared_scale": 40,
    "shared_mean": 64,
    "shared_moments": 64,
    "shared_solve": 128,
    "wiring_sample": 40,
    "wiring_count": 40,
    "wiring_list": 40,
    "wiring_sort": 40,
    "wiring_targets": 40,
    "weights_fix_plastic": 40,
    "weights_fix_feed_forward": 40,
    "weights_not_finite": 40,
}


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("module", modules())
def test_compiles_without_spills(module: str, architecture: str) -> None:
    found = usage(source(module), architecture)
    assert sorted(found) == sorted(kernels(source(module)))
    for kernel, used in found.items():
        require_no_spills({kernel: used}, REGISTERS[kernel])


def require_no_spills(found: dict[str, Usage], most: int) -> None:
    for kernel, used in found.items():
        assert used.spilled == 0, f"{kernel} spills {used.spilled} bytes"
        assert used.stack == 0, f"{kernel} keeps {used.stack} bytes in local memory"
        assert used.registers <= most, f"{kernel} takes {used.registers} registers"


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(("name", "dtype"), [("everything", np.float64), ("gif_coba", np.float32)])
def test_a_model_compiles_without_spills(name: str, dtype: Any, architecture: str) -> None:
    model = model_of(name, None)
    text = cuda_module(name, make_blocks(model, spike_signal=True), (0, 3), np.dtype(dtype), 0)
    found = usage(text, architecture)
    assert sorted(found) == sorted(kernels(text))
    require_no_spills(found, 128)  # 256 threads a block, two blocks at a time


# A model's own functions, each in a kernel of its own.
OWN = """
extern "C" __global__ void __launch_bounds__(256) forward(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, Cells s, const Real* current, Real* tape,
    int* spikes) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    spikes[i] = tape ? recorded_step(c, m, s, current, current[i], i, tape) : step(c, m, s, current, current[i], i);
}
extern "C" __global__ void __launch_bounds__(256, 2) backward(
    const __grid_constant__ Scalars c, const __grid_constant__ Parameters m, const Real* tape, Real* out, int port, int steps) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    Real l[N_ROWS] = {}, e[N_ROWS] = {}, y[N_FILTERS + 1] = {}, q[N_TRAINABLE + 1] = {};
    for (int t = 0; t < steps; ++t) {
        adjoint(c, m, tape + t * m.width, i, l, y, q, out);
        trace(port, c, m, tape + t * m.width, i, e, l[0], y[0]);
    }
    out[i] = e[0] + e[N_ROWS - 1];
}
"""


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_every_model_of_the_library_compiles_without_spills(architecture: str) -> None:
    for name in library_names():
        functions = cuda_functions(name, make_blocks(model_of(name, None), spike_signal=True), noise_state=0)
        require_no_spills(usage(with_constants(functions + OWN, name), architecture), 128)


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


def test_kernels_whose_blocks_wait_for_each_other_read_what_the_others_wrote() -> None:
    """What the host shim cannot show: barriers release and acquire, and no read goes through a cache that is not coherent.

    A stronger fence would make every atomic addition of the kernel return the old value (ATOMG instead of RED).
    """
    model = cuda_module("lif_psc_exp", make_blocks(model_of("lif_psc_exp", None), spike_signal=True), (), np.dtype(np.float32), 0)
    together = []
    for text in (*map(source, modules()), model):
        ptx = compile_cuda(text, "compute_80")[0].decode()
        for kernel in ptx.split(".visible .entry ")[1:]:
            if "ld.acquire.gpu.global.u32" in kernel:
                together.append(kernel.partition("(")[0])
                assert "red.release.gpu.global.add.u32" in kernel
                assert "ld.global.nc" not in kernel
                assert "membar" not in kernel
                assert "fence" not in kernel
    assert sorted(together) == [
        "eprop_sequence_double",
        "eprop_sequence_float",
        "lif_run",
        "model_back_through_time",
        "model_run",
    ]


def test_compiled_code_is_kept_for_later_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITREC_CACHE", str(tmp_path))
    made = []

    def compile_once(text: str, architecture: str) -> tuple[bytes, str]:
        made.append(architecture)
        return compile_cuda(text, architecture)

    monkeypatch.setattr("fitrec.kernels.cuda.compile.compile_cuda", compile_once)
    text = 'extern "C" __global__ void f(float* x) { x[0] = 1.0f; }'
    first = compiled(text, "sm_90")
    assert compiled(text, "sm_90") == first == compile_cuda(text, "sm_90")[0]
    assert made == ["sm_90"]
    compiled(text, "sm_80")
    compiled(text.replace("1.0f", "2.0f"), "sm_90")
    assert made == ["sm_90", "sm_80", "sm_90"]
    for file in (tmp_path / "cuda").iterdir():  # damaged
        file.write_bytes(file.read_bytes()[:-5])
    assert compiled(text, "sm_90") == first
    assert len(made) == 4
    assert len(list((tmp_path / "cuda").iterdir())) == 3


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
