"""setuptools, with the list of what the source distribution holds in .ci/, not at the top."""

from setuptools.build_meta import *  # noqa: F403 - the whole of the build interface
from setuptools.command.egg_info import manifest_maker

manifest_maker.template = ".ci/sdist.in"
