"""What pyproject.toml cannot say of the build: the kernel under Windows, and a wheel without it.

``CC=none`` builds without the kernel; then, and where it cannot be compiled, the wheel is for every platform.
"""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError


class BuildKernel(build_ext):
    """Compile the kernel; under Windows with Zig's Clang, since Microsoft's compiler has no vectors."""

    def build_extension(self, ext: Extension) -> None:
        """Compile one library; a CompileError lets the build go on without."""
        if os.environ.get("CC") == "none":
            raise CompileError("CC=none: NumPy will score")
        if sys.platform != "win32":
            super().build_extension(ext)
            return
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-windows-gnu"]
        try:
            subprocess.run(
                [*compiler, *ext.extra_compile_args, "-shared", "-o", str(target), *ext.sources], check=True
            )
        except subprocess.CalledProcessError as error:
            raise CompileError(str(error)) from error


class Wheel(bdist_wheel):
    """A wheel for one platform if it has the kernel, else for every one."""

    def run(self) -> None:
        """Build first, to know."""
        self.run_command("build")
        self.skip_build = True
        build = self.get_finalized_command("build")
        if not any(Path(build.build_lib).rglob("_rbf_kernel*")):
            self.root_is_pure = True
            self.distribution.ext_modules = []
        super().run()


setup(cmdclass={"build_ext": BuildKernel, "bdist_wheel": Wheel})
