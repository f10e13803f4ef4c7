"""Builds the C filters that Envoy loads. Everything else about the package is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = sorted(str(path) for path in Path("src/meshgate/native").glob("*.c"))
FLAGS = (
    "-std=c11 -O2 -D_GNU_SOURCE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fvisibility=hidden "
    "-fstack-protector-strong -Wall -Wextra -g0"
)


class BuildLibrary(build_ext):
    """Names the library as Envoy looks for it: it is no module of Python's."""

    def get_ext_filename(self, fullname: str) -> str:
        return f"{fullname.replace('.', '/')}.so"


setup(
    ext_modules=[
        # Optional: where there is no C compiler, Envoy's own filters do the work.
        Extension(
            "meshgate.native.libmeshgate_filters",
            SOURCES,
            extra_compile_args=FLAGS.split(),
            extra_link_args=["-Wl,-z,relro,-z,now"],
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildLibrary},
)
