"""Finds what AWS bundles with its runtime where this machine has it, and nothing beside it."""

import importlib.machinery
import sys
from importlib._bootstrap_external import spec_from_file_location


class Bundled:
    """The last finder on sys.meta_path: a package's own copy, a layer's and the standard library go first."""

    def __init__(self, modules, metadata):
        self.modules = modules  # name: [file or None for a namespace, [directories of a package] or None for a module]
        self.metadata = metadata  # directories

    def find_spec(self, name, path=None, target=None):
        if name not in self.modules:
            return None
        file, directories = self.modules[name]
        if file is not None:
            return spec_from_file_location(name, file, submodule_search_locations=directories)
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)  # its parts are named one by one
        spec.submodule_search_locations = []
        return spec

    def find_distributions(self, context=None):
        import importlib.metadata
        import pathlib

        wanted = getattr(context, "name", None)
        for directory in self.metadata:
            found = importlib.metadata.PathDistribution(pathlib.Path(directory))
            if wanted is None or normal(found.metadata["Name"]) == normal(wanted):
                yield found


def normal(name):
    return (name or "").lower().replace("_", "-").replace(".", "-")


class AfterImport:
    """The first finder on sys.meta_path: has a patch applied to a module once it is loaded, wherever it comes from."""

    def __init__(self, patches):
        self.patches = patches  # by name of the module

    def find_spec(self, name, path=None, target=None):
        if name not in self.patches:
            return None
        patch = self.patches.pop(name)
        for finder in sys.meta_path:
            spec = None if finder is self else getattr(finder, "find_spec", lambda *_: None)(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = Patching(spec.loader, patch)
                return spec
        self.patches[name] = patch
        return None


class Patching:
    """A loader that is another one but for what comes after loading."""

    def __init__(self, loader, patch):
        self.loader, self.patch = loader, patch

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.patch(module)


_after = AfterImport({})


def after_import(patches):
    """patches maps names of modules to functions of the loaded module. It may be called more than once."""
    _after.patches.update(patches)
    if _after not in sys.meta_path:
        sys.meta_path.insert(0, _after)
