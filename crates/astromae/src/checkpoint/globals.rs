//! Decides which classes and functions the pickle of a checkpoint may refer to.
//!
//! None of them is ever called: an object of any class is data. Most checkpoints of a training hold such data beside
//! the weights: an optimizer, the arguments of the program, a NumPy number. They are skipped, and rejected only where
//! the model needs them.
//!
//! A function that can have effects, such as `os.system`, has no place in a checkpoint, wherever it stands. A file that
//! refers to one was made to attack its reader, so its weights cannot be trusted either, and it is rejected by name:
//!
//! - the standard library of Python, except for its types of data;
//! - PyTorch, timm, NumPy and torchvision, except for their classes and for the functions that make data;
//! - packages whose purpose is to run, load or fetch something;
//! - any name that reaches such a function on a detour, such as `package.os.system`.

mod standard_library;

use standard_library::is_in_standard_library;

/// Returns true if the pickle of a checkpoint may refer to `module.name`.
pub(super) fn may_occur(module: &str, name: &str) -> bool {
    let components = || module.split('.').chain(name.split('.'));
    if components().any(str::is_empty) || name.split('.').any(|part| has_effects(part) || is_internal(part)) {
        return false;
    }
    if is_in_standard_library(module) {
        return DATA_OF_PYTHON.contains(&(module, name));
    }
    let top = module.split('.').next().unwrap_or(module);
    match top {
        "torch" => is_class(name) || is_data_of_torch(module, name),
        "numpy" => is_class(name) || is_data_of_numpy(name),
        "timm" | "torchvision" | "torchaudio" => is_class(name),
        _ => !RUNNERS.contains(&top) && !module.split('.').any(reaches_effects),
    }
}

/// Types of data of the standard library, and the functions that pickles of such data refer to.
const DATA_OF_PYTHON: &[(&str, &str)] = &[
    ("__builtin__", "bytearray"),
    ("__builtin__", "complex"),
    ("__builtin__", "dict"),
    ("__builtin__", "float"),
    ("__builtin__", "frozenset"),
    ("__builtin__", "int"),
    ("__builtin__", "list"),
    ("__builtin__", "long"),
    ("__builtin__", "object"),
    ("__builtin__", "set"),
    ("__builtin__", "slice"),
    ("__builtin__", "str"),
    ("__builtin__", "tuple"),
    ("__builtin__", "unicode"),
    ("__builtin__", "xrange"),
    ("_codecs", "encode"),
    ("_io", "BytesIO"),
    ("argparse", "Namespace"),
    ("array", "_array_reconstructor"),
    ("array", "array"),
    ("builtins", "Ellipsis"),
    ("builtins", "bool"),
    ("builtins", "bytearray"),
    ("builtins", "bytes"),
    ("builtins", "complex"),
    ("builtins", "dict"),
    ("builtins", "float"),
    ("builtins", "frozenset"),
    ("builtins", "int"),
    ("builtins", "list"),
    ("builtins", "object"),
    ("builtins", "range"),
    ("builtins", "set"),
    ("builtins", "slice"),
    ("builtins", "str"),
    ("builtins", "tuple"),
    ("collections", "ChainMap"),
    ("collections", "Counter"),
    ("collections", "OrderedDict"),
    ("collections", "UserDict"),
    ("collections", "UserList"),
    ("collections", "defaultdict"),
    ("collections", "deque"),
    ("copy_reg", "_reconstructor"),
    ("copyreg", "_reconstructor"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("functools", "partial"),
    ("io", "BytesIO"),
    ("ipaddress", "IPv4Address"),
    ("logging", "Logger"),
    ("logging", "getLogger"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib", "PureWindowsPath"),
    ("pathlib", "WindowsPath"),
    ("pathlib._local", "PosixPath"),
    ("pathlib._local", "PurePosixPath"),
    ("pathlib._local", "WindowsPath"),
    ("random", "Random"),
    ("time", "struct_time"),
    ("types", "SimpleNamespace"),
    ("uuid", "SafeUUID"),
    ("uuid", "UUID"),
    ("zoneinfo", "ZoneInfo"),
];

/// Packages that run programs, execute text, load objects or fetch files.
const RUNNERS: &[&str] = &[
    "IPython",
    "_pytest",
    "aiohttp",
    "cffi",
    "cloudpickle",
    "dill",
    "docker",
    "fabric",
    "fsspec",
    "gevent",
    "httpx",
    "huggingface_hub",
    "invoke",
    "ipykernel",
    "jinja2",
    "joblib",
    "jsonpickle",
    "llvmlite",
    "numba",
    "numexpr",
    "paramiko",
    "pexpect",
    "pip",
    "pkg_resources",
    "plumbum",
    "psutil",
    "ptyprocess",
    "py",
    "pytest",
    "requests",
    "setuptools",
    "sh",
    "sympy",
    "urllib3",
    "wheel",
    "yaml",
];

/// Functions with effects, and modules that contain them, as parts of a name.
fn has_effects(part: &str) -> bool {
    const FUNCTIONS: &[&str] = &[
        "apply",
        "breakpoint",
        "check_call",
        "check_output",
        "compile",
        "delattr",
        "eval",
        "exec",
        "execfile",
        "fork",
        "getattr",
        "getoutput",
        "globals",
        "import_module",
        "input",
        "loads",
        "locals",
        "open",
        "popen",
        "reload",
        "run_module",
        "run_path",
        "runstring",
        "setattr",
        "startfile",
        "system",
        "vars",
    ];
    FUNCTIONS.contains(&part) || reaches_effects(part) || part.starts_with("spawn") || part.starts_with("execv")
}

/// Modules that a detour leads to, as in `six.moves.builtins`.
fn reaches_effects(part: &str) -> bool {
    const MODULES: &[&str] = &[
        "__builtin__",
        "__builtins__",
        "builtins",
        "ctypes",
        "importlib",
        "marshal",
        "nt",
        "os",
        "pickle",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "socket",
        "subprocess",
        "sys",
        "webbrowser",
    ];
    MODULES.contains(&part)
}

/// Attributes of Python's own, such as `__globals__`, from which one reaches every function. Pickles of NumPy's random
/// generators refer to functions with similar names.
fn is_internal(part: &str) -> bool {
    part.starts_with("__") && !part.ends_with("_ctor")
}

/// Returns true for the name of a class by the rules of PEP 8: `Adam`, `_JoinConfig`, `Outer.Inner`.
fn is_class(name: &str) -> bool {
    name.split('.').all(|part| part.trim_start_matches('_').starts_with(|first: char| first.is_ascii_uppercase()))
}

/// Functions and constants of PyTorch that make or describe data, and activations, which modules hold as attributes.
fn is_data_of_torch(module: &str, name: &str) -> bool {
    match module {
        "torch" => is_type_name(name) || CONSTANTS_OF_TORCH.contains(&name),
        "torch._utils" => name.starts_with("_rebuild_"),
        "torch._tensor" => matches!(name, "_rebuild_from_type" | "_rebuild_from_type_v2"),
        "torch.serialization" => name == "_get_layout",
        "torch._C._nn" | "torch.nn.functional" | "torch.nn.init" => !name.contains('.'),
        _ => false,
    }
}

const CONSTANTS_OF_TORCH: &[&str] = &[
    "bool",
    "channels_last",
    "channels_last_3d",
    "contiguous_format",
    "device",
    "double",
    "dtype",
    "float",
    "half",
    "int",
    "layout",
    "long",
    "memory_format",
    "per_channel_affine",
    "per_tensor_affine",
    "preserve_format",
    "relu",
    "short",
    "sigmoid",
    "sparse_coo",
    "sparse_csr",
    "strided",
    "tanh",
];

fn is_data_of_numpy(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "__bit_generator_ctor",
        "__generator_ctor",
        "__randomstate_ctor",
        "_frombuffer",
        "_mareconstruct",
        "_reconstruct",
        "bool",
        "bool_",
        "bytes_",
        "dtype",
        "intc",
        "intp",
        "longdouble",
        "longlong",
        "matrix",
        "ndarray",
        "object_",
        "recarray",
        "record",
        "scalar",
        "str_",
        "ulonglong",
        "void",
    ];
    NAMES.contains(&name) || is_type_name(name)
}

/// Returns true for names of element types: letters with a number of bits, such as `float32`, `quint8` or
/// `float8_e4m3fn`.
fn is_type_name(name: &str) -> bool {
    const STARTS: &[&str] =
        &["float", "bfloat", "int", "uint", "complex", "qint", "quint", "bits", "datetime", "timedelta"];
    STARTS
        .iter()
        .filter_map(|start| name.strip_prefix(start))
        .any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()) && !rest.contains('.'))
}

#[cfg(test)]
mod tests;
