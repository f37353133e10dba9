//! Parses the Python literals of a `.npy` header: text, whole numbers, booleans, tuples, lists and dicts.
//!
//! Nothing is evaluated. The length of the header bounds the memory, and [`MAX_DEPTH`] bounds the recursion.

/// Maximum depth of values within values. A record within a record within a record needs ten.
const MAX_DEPTH: usize = 24;

/// Python value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Whole(usize),
    Bool(bool),
    None,
    Tuple(Vec<Literal>),
    List(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

impl Literal {
    /// Parses a text that is one literal. Returns None if it is anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text };
        let value = parser.value(0)?;
        parser.skip_spaces();
        parser.rest.is_empty().then_some(value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn whole(&self) -> Option<usize> {
        match self {
            &Self::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// Elements of a tuple or a list.
    pub(super) fn sequence(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(items) | Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Value of a key of a dict.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(items) => items.iter().find(|(found, _)| found.text() == Some(key)).map(|(_, value)| value),
            _ => None,
        }
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes these characters if they come next, after any spaces.
    fn take(&mut self, text: &str) -> bool {
        self.skip_spaces();
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Literal> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_spaces();
        match self.rest.chars().next()? {
            '(' => self.tuple(depth),
            '[' => {
                self.take("[");
                self.items("]", |parser| parser.value(depth + 1)).map(|(items, _)| Literal::List(items))
            }
            '{' => {
                self.take("{");
                let pair = |parser: &mut Self| {
                    let key = parser.value(depth + 1)?;
                    parser.take(":").then_some(())?;
                    Some((key, parser.value(depth + 1)?))
                };
                self.items("}", pair).map(|(items, _)| Literal::Dict(items))
            }
            '\'' | '"' => self.text().map(Literal::Text),
            // Python 2 wrote the names of fields as u'name'.
            'u' => {
                self.take("u");
                self.text().map(Literal::Text)
            }
            digit if digit.is_ascii_digit() => self.whole(),
            _ => [("True", Literal::Bool(true)), ("False", Literal::Bool(false)), ("None", Literal::None)]
                .into_iter()
                .find_map(|(word, value)| self.take(word).then_some(value)),
        }
    }

    /// Parses a tuple, or a value in parentheses.
    fn tuple(&mut self, depth: usize) -> Option<Literal> {
        self.take("(");
        let (mut items, ends_in_comma) = self.items(")", |parser| parser.value(depth + 1))?;
        match items.len() {
            1 if !ends_in_comma => items.pop(),
            _ => Some(Literal::Tuple(items)),
        }
    }

    /// Parses items with commas between them, up to `end`. Returns true beside them if the last one has a comma.
    fn items<T>(&mut self, end: &str, item: impl Fn(&mut Self) -> Option<T>) -> Option<(Vec<T>, bool)> {
        let mut items = Vec::new();
        let mut ends_in_comma = true;
        while !self.take(end) {
            if !ends_in_comma {
                return None;
            }
            items.push(item(self)?);
            ends_in_comma = self.take(",");
        }
        Some((items, ends_in_comma))
    }

    /// Parses a whole number. Python 2 wrote `15L`.
    fn whole(&mut self) -> Option<Literal> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().ok().map(Literal::Whole)
    }

    fn text(&mut self) -> Option<String> {
        let mut letters = self.rest.chars();
        let quote = letters.next().filter(|quote| "'\"".contains(*quote))?;
        let mut text = String::new();
        loop {
            match letters.next()? {
                letter if letter == quote => break,
                '\\' => text.push(match letters.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'x' => code(&mut letters, 2)?,
                    'u' => code(&mut letters, 4)?,
                    'U' => code(&mut letters, 8)?,
                    letter @ ('\\' | '\'' | '"') => letter,
                    _ => return None,
                }),
                letter => text.push(letter),
            }
        }
        self.rest = letters.as_str();
        Some(text)
    }
}

/// Character with a code of `count` hexadecimal digits.
fn code(letters: &mut std::str::Chars<'_>, count: usize) -> Option<char> {
    let digits = (0..count).map(|_| letters.next()?.to_digit(16));
    let code = digits.into_iter().try_fold(0_u32, |code, digit| code.checked_mul(16)?.checked_add(digit?))?;
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_values_as_python_prints_them() {
        let text = r#"{'descr': [('a', '<f4', (5,)), ("b'c", '|S1')], 'shape': (3L, ), u'x': None, 'y': ((2)), }"#;
        let value = Literal::parse(text).unwrap();
        let fields = value.get("descr").and_then(Literal::sequence).unwrap();
        let first = fields[0].sequence().unwrap();
        assert_eq!((first[0].text(), &first[2]), (Some("a"), &Literal::Tuple(vec![Literal::Whole(5)])));
        assert_eq!(fields[1].sequence().unwrap()[0].text(), Some("b'c"));
        assert_eq!(value.get("shape"), Some(&Literal::Tuple(vec![Literal::Whole(3)])));
        assert_eq!((value.get("x"), value.get("y")), (Some(&Literal::None), Some(&Literal::Whole(2))));
        assert_eq!(Literal::parse(r"'\xe9\u00e9\'\\'").unwrap().text(), Some("éé'\\"));
        assert_eq!(Literal::parse("()"), Some(Literal::Tuple(Vec::new())));
    }

    #[test]
    fn rejects_everything_that_is_not_a_literal() {
        for text in [
            "",
            "(",
            "(,)",
            "[1 2]",
            "{'a'}",
            "{'a': }",
            "'a",
            r"'\q'",
            r"'\ud800'",
            "1 2",
            "-1",
            "print()",
            "1e3",
            "99999999999999999999",
            &"(".repeat(10_000),
            &"[".repeat(100),
        ] {
            assert_eq!(Literal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"[\[\](){}:,'"uTL0-9a-z\\ é]{0,60}"#) {
            drop(Literal::parse(&text));
        }
    }
}
