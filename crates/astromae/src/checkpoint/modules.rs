//! [`Modules`]: the tree of a pickled module: the class of each module and the attributes that are not tensors.

use std::collections::BTreeMap;

use crate::torch::pickle::{Node, Pickle, Value};

/// Longest text that is kept, in bytes. Longer text is no setting of a layer.
const MAX_TEXT_BYTES: usize = 64;
/// Largest number of items of a list that is kept, such as a kernel size.
const MAX_ITEMS: usize = 8;

/// All modules of a pickled module by their paths. The root has the path `""`.
pub(crate) type Modules = BTreeMap<String, Module>;

/// One module of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Module {
    /// Python module that defines the class, such as `torch.nn.modules.activation`.
    pub(crate) package: String,
    /// Name of the class, such as `GELU`.
    pub(crate) class: String,
    /// Names of the children, in the order of the tree.
    pub(crate) children: Vec<String>,
    /// Names of the parameters that are `None`.
    pub(crate) absent: Vec<String>,
    /// Attributes that are neither tensors nor private to PyTorch.
    pub(crate) constants: BTreeMap<String, Constant>,
    /// Name of a hook or method that changes what the module computes.
    pub(crate) changed_by: Option<String>,
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    None,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Constant>),
    /// A class or function, by its full name.
    Reference(String),
    /// A tensor that is not a parameter.
    Tensor,
    /// Any other object, by its description and, for a member of an enumeration, its value.
    Object(String, Option<String>),
}

impl Module {
    /// Full name of the class.
    pub(crate) fn full_class(&self) -> String {
        format!("{}.{}", self.package, self.class)
    }
}

impl Constant {
    pub(super) fn read<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Self {
        Self::scalar(pickle, value).unwrap_or_else(|| match pickle.sequence(value) {
            Some(items) if items.len() <= MAX_ITEMS => {
                let object = |&item| Self::Object(pickle.describe(item), None);
                Self::List(
                    items.iter().map(|item| Self::scalar(pickle, *item).unwrap_or_else(|| object(item))).collect(),
                )
            }
            _ => Self::Object(pickle.describe(value), None),
        })
    }

    fn scalar<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Option<Self> {
        Some(match value {
            Value::None => Self::None,
            Value::Bool(flag) => Self::Bool(flag),
            Value::Int(int) => Self::Number(int as f64),
            Value::Float(float) => Self::Number(float),
            Value::Str(text) if text.len() <= MAX_TEXT_BYTES => Self::Text(text.to_owned()),
            Value::Global(package, name) => Self::Reference(format!("{package}.{name}")),
            Value::Node(id) => match pickle.node(id) {
                Node::Call(_) if crate::torch::TensorSpec::is_tensor(pickle, value) => Self::Tensor,
                Node::Call(call) if !call.is("torch", "Size") => {
                    let member = match pickle.tuple(call.arguments) {
                        Some(&[Value::Str(member)]) if member.len() <= MAX_TEXT_BYTES => Some(member.to_owned()),
                        _ => None,
                    };
                    Self::Object(pickle.describe(value), member)
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Number, or 1 and 0 for true and false.
    pub(crate) fn number(&self) -> Option<f64> {
        match *self {
            Self::Number(number) => Some(number),
            Self::Bool(flag) => Some(f64::from(u8::from(flag))),
            _ => None,
        }
    }

    /// Numbers of a list, or `length` times a single number, as PyTorch reads a kernel size.
    pub(crate) fn numbers(&self, length: usize) -> Option<Vec<f64>> {
        match self {
            Self::List(items) => items.iter().map(Self::number).collect(),
            _ => self.number().map(|number| vec![number; length]),
        }
    }
}

impl std::fmt::Display for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "\"{}\"", text.escape_debug()),
            Self::Reference(name) => write!(f, "`{}`", name.escape_debug()),
            Self::Tensor => f.write_str("a tensor"),
            Self::Object(description, _) => f.write_str(description),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "({})", items.join(", "))
            }
        }
    }
}
