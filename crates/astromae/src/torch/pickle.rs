//! Reads pickles as plain data. Nothing is executed.
//!
//! A pickle is a program for a stack machine that may call any function by name. [`Pickle::read`] runs the stack
//! machine but makes no calls: the operations `REDUCE`, `NEWOBJ` and `BUILD` become a [`Node::Call`], which records the
//! function and its arguments. The caller decides which names may occur; the others are rejected where they occur, also
//! if no value uses them.
//!
//! Values are indices into one arena. Shared and cyclic objects therefore need no additional memory, dropping does not
//! recurse, and the length of the pickle bounds the memory. A small pickle can describe exponentially many paths, so
//! code that walks the graph must limit its steps.

mod machine;
mod program;

use super::TorchError;

/// Largest length of a pickle, in bytes. The pickle of a model with 500 tensors has 140 kB.
pub const MAX_PICKLE_BYTES: u64 = 16 << 20;
/// Largest number of operations of a pickle.
pub const MAX_OPERATIONS: usize = 1_000_000;

/// Largest length of the full name of a class or function, in bytes.
pub const MAX_GLOBAL_BYTES: usize = 1_024;

/// Value in a pickle. Strings and bytes are borrowed from the pickle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'p> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// An integer of more than 64 bits: its two's complement, little-endian.
    BigInt(&'p [u8]),
    /// A float.
    Float(f64),
    /// A string.
    Str(&'p str),
    /// `bytes` or `bytearray`.
    Bytes(&'p [u8]),
    /// A class or function: its module and name.
    Global(&'p str, &'p str),
    /// A value that contains values; [`Pickle::node`] returns it.
    Node(NodeId),
}

/// Index of a [`Node`] in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

/// Value that contains other values.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'p> {
    /// A tuple.
    Tuple(Vec<Value<'p>>),
    /// A list.
    List(Vec<Value<'p>>),
    /// A set or frozen set.
    Set(Vec<Value<'p>>),
    /// A dict, in insertion order.
    Dict(Vec<(Value<'p>, Value<'p>)>),
    /// A persistent id, which is how PyTorch refers to a storage.
    Persistent(Value<'p>),
    /// A recorded call: the result of `function(*arguments)` or `class.__new__(*arguments)`.
    Call(Call<'p>),
}

/// Call that was recorded and not made.
#[derive(Debug, Clone, PartialEq)]
pub struct Call<'p> {
    /// Module of the class or function.
    pub module: &'p str,
    /// Name of the class or function.
    pub name: &'p str,
    /// Tuple of arguments.
    pub arguments: Value<'p>,
    /// Argument of `__setstate__`.
    pub state: Option<Value<'p>>,
    /// Items that are set on the object, as for an `OrderedDict`. Items that are appended to it are not kept.
    pub items: Vec<(Value<'p>, Value<'p>)>,
}

impl Call<'_> {
    /// Returns true if this is a call of `module.name`.
    pub fn is(&self, module: &str, name: &str) -> bool {
        self.module == module && self.name == name
    }
}

/// Graph of the values of a pickle.
#[derive(Debug, Clone)]
pub struct Pickle<'p> {
    nodes: Vec<Node<'p>>,
    root: Value<'p>,
}

impl<'p> Pickle<'p> {
    /// Reads a pickle of protocol 2 to 5. `allowed(module, name)` returns true for the classes and functions that it
    /// may refer to.
    ///
    /// # Errors
    /// - [`TorchError::Refused`] with the full name of a class or function that is not allowed.
    /// - [`TorchError::Unsupported`] for operations that PyTorch does not write.
    /// - [`TorchError::Malformed`] if the pickle is truncated, inconsistent or exceeds a limit.
    pub fn read(bytes: &'p [u8], allowed: fn(&str, &str) -> bool) -> Result<Self, TorchError> {
        machine::run(bytes, allowed)
    }

    /// Value of the whole pickle.
    pub fn root(&self) -> Value<'p> {
        self.root
    }

    /// Content of a [`Value::Node`].
    pub fn node(&self, id: NodeId) -> &Node<'p> {
        &self.nodes[id.0 as usize]
    }

    /// Elements of a tuple, or `None` if `value` is something else.
    pub fn tuple(&self, value: Value<'p>) -> Option<&[Value<'p>]> {
        match value {
            Value::Node(id) => match self.node(id) {
                Node::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// Elements of a tuple, a list or a `torch.Size`, or `None` if `value` is something else.
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

    /// Items of a dict or an `OrderedDict`, or `None` if `value` is something else.
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

    /// Items of a dict or of an object of a subclass of dict, or the attributes of any other object. `None` if `value` is
    /// none of them.
    pub fn fields(&self, value: Value<'p>) -> Option<&[(Value<'p>, Value<'p>)]> {
        if let Some(items) = self.items(value) {
            return Some(items);
        }
        let call = self.call(value)?;
        if call.items.is_empty() { self.items(call.state?) } else { Some(&call.items) }
    }

    /// Last value of `key` in a dict or an `OrderedDict`.
    pub fn get(&self, dict: Value<'p>, key: &str) -> Option<Value<'p>> {
        let items = self.items(dict)?;
        items.iter().rev().find(|(name, _)| *name == Value::Str(key)).map(|&(_, value)| value)
    }

    /// Recorded call, or `None` if `value` is something else.
    pub fn call(&self, value: Value<'p>) -> Option<&Call<'p>> {
        match value {
            Value::Node(id) => match self.node(id) {
                Node::Call(call) => Some(call),
                _ => None,
            },
            _ => None,
        }
    }

    /// Describes `value` for messages by its class or Python type, such as `a tuple of 3`.
    pub fn describe(&self, value: Value<'p>) -> String {
        match value {
            Value::None => "None".to_owned(),
            Value::Bool(_) => "a bool".to_owned(),
            Value::Int(_) | Value::BigInt(_) => "an int".to_owned(),
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
