//! Pickles as values: bytes in, a graph of plain data out, nothing executed.
//!
//! A pickle is a program for a stack machine that may call any function by name. [`Pickle::read`]
//! runs the stack machine but no call: `REDUCE`, `NEWOBJ` and `BUILD` become [`Node::Call`]s that
//! record what would be called with what, for the caller to recognise. Names outside the caller's
//! allow-list are refused as they appear.
//!
//! Values are indices into one arena, so shared and cyclic objects cost nothing, dropping never
//! recurses, and the memory is bounded by the length of the pickle. Whoever walks the graph bounds
//! the walk, for a small pickle can describe exponentially many paths.

mod machine;
mod program;

use super::TorchError;

/// A longer pickle is refused: a model of 500 tensors has 140 kB.
pub const MAX_PICKLE_BYTES: u64 = 16 << 20;
/// A pickle with more operations is refused.
pub const MAX_OPERATIONS: usize = 1_000_000;

/// One value of a pickle, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'p> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Str(&'p str),
    /// `bytes`.
    Bytes(&'p [u8]),
    /// A class or function, by its module and name.
    Global(&'p str, &'p str),
    /// Anything that contains values; see [`Pickle::node`].
    Node(NodeId),
}

/// Index of a [`Node`] in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

/// A value that contains values.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'p> {
    /// A tuple.
    Tuple(Vec<Value<'p>>),
    /// A list.
    List(Vec<Value<'p>>),
    /// A set or frozen set.
    Set(Vec<Value<'p>>),
    /// A dict, in the order of its insertions.
    Dict(Vec<(Value<'p>, Value<'p>)>),
    /// A persistent id: PyTorch's reference to a storage.
    Persistent(Value<'p>),
    /// What `function(*arguments)` or `class.__new__(*arguments)` would have made.
    Call(Call<'p>),
}

/// A call that was recorded instead of made.
#[derive(Debug, Clone, PartialEq)]
pub struct Call<'p> {
    /// Module of the class or function.
    pub module: &'p str,
    /// Its name.
    pub name: &'p str,
    /// Its arguments, a tuple.
    pub arguments: Value<'p>,
    /// What `__setstate__` would have received.
    pub state: Option<Value<'p>>,
    /// Items set on the object, as on an `OrderedDict`.
    pub items: Vec<(Value<'p>, Value<'p>)>,
}

impl Call<'_> {
    /// Whether it calls `module.name`.
    pub fn is(&self, module: &str, name: &str) -> bool {
        self.module == module && self.name == name
    }
}

/// A pickle's graph of values.
#[derive(Debug, Clone)]
pub struct Pickle<'p> {
    nodes: Vec<Node<'p>>,
    root: Value<'p>,
}

impl<'p> Pickle<'p> {
    /// Reads a pickle of protocol 2 to 5; `allowed(module, name)` says which globals it may name.
    ///
    /// # Errors
    /// [`TorchError::Refused`] with the full name of a global outside the list;
    /// [`TorchError::Unsupported`] for operations PyTorch does not write;
    /// [`TorchError::Malformed`] for anything truncated, inconsistent or beyond the limits.
    pub fn read(bytes: &'p [u8], allowed: fn(&str, &str) -> bool) -> Result<Self, TorchError> {
        machine::run(bytes, allowed)
    }

    /// The value the pickle stands for.
    pub fn root(&self) -> Value<'p> {
        self.root
    }

    /// What a [`Value::Node`] contains.
    pub fn node(&self, id: NodeId) -> &Node<'p> {
        &self.nodes[id.0 as usize]
    }

    /// The elements of a tuple.
    pub fn tuple(&self, value: Value<'p>) -> Option<&[Value<'p>]> {
        match value {
            Value::Node(id) => match self.node(id) {
                Node::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The elements of a tuple, a list or a `torch.Size`.
    pub fn sequence(&self, value: Value<'p>) -> Option<&[Value<'p>]> {
        match value {
            Value::Node(id) => match self.node(id) {
                Node::Tuple(items) | Node::List(items) => Some(items),
                Node::Call(call) if call.is("torch", "Size") => match self.tuple(call.arguments)? {
                    &[items] => self.tuple(items),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The items of a dict or an `OrderedDict`.
    pub fn items(&self, value: Value<'p>) -> Option<&[(Value<'p>, Value<'p>)]> {
        match value {
            Value::Node(id) => match self.node(id) {
                Node::Dict(items) => Some(items),
                Node::Call(call) if call.is("collections", "OrderedDict") => Some(&call.items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The last value under `key` in a dict or an `OrderedDict`.
    pub fn get(&self, dict: Value<'p>, key: &str) -> Option<Value<'p>> {
        let items = self.items(dict)?;
        items.iter().rev().find(|(name, _)| *name == Value::Str(key)).map(|&(_, value)| value)
    }

    /// The recorded call that `value` is.
    pub fn call(&self, value: Value<'p>) -> Option<&Call<'p>> {
        match value {
            Value::Node(id) => match self.node(id) {
                Node::Call(call) => Some(call),
                _ => None,
            },
            _ => None,
        }
    }

    /// What `value` is, for messages: a class's name or a Python type.
    pub fn describe(&self, value: Value<'p>) -> String {
        match value {
            Value::None => "None".to_owned(),
            Value::Bool(_) => "a bool".to_owned(),
            Value::Int(_) => "an int".to_owned(),
            Value::Float(_) => "a float".to_owned(),
            Value::Str(_) => "a string".to_owned(),
            Value::Bytes(_) => "bytes".to_owned(),
            Value::Global(module, name) => format!("`{module}.{name}`"),
            Value::Node(id) => match self.node(id) {
                Node::Tuple(items) => format!("a tuple of {}", items.len()),
                Node::List(items) => format!("a list of {}", items.len()),
                Node::Set(_) => "a set".to_owned(),
                Node::Dict(items) => format!("a dict of {}", items.len()),
                Node::Persistent(_) => "a storage".to_owned(),
                Node::Call(call) => format!("a `{}.{}`", call.module, call.name),
            },
        }
    }
}

#[cfg(test)]
mod tests;
