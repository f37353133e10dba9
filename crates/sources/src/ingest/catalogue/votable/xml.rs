//! Parts of XML: attributes, entities, encodings.

use quick_xml::events::BytesStart;

pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let Some(attribute) = element.try_get_attribute(name).map_err(unreadable)? else { return Ok(None) };
    let text = std::str::from_utf8(&attribute.value).map_err(unreadable)?;
    quick_xml::escape::unescape(text).map(|text| Some(text.into_owned())).map_err(unreadable)
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> String {
    format!("not a readable VOTable: {error}")
}

/// Text of an entity that every XML file knows. No other entity is expanded.
pub(super) fn predefined(name: &str) -> Result<&'static str, String> {
    match name {
        "lt" => Ok("<"),
        "gt" => Ok(">"),
        "amp" => Ok("&"),
        "apos" => Ok("'"),
        "quot" => Ok("\""),
        other => Err(format!("not a readable VOTable: unknown entity `&{};`", other.escape_debug())),
    }
}

pub(super) fn check_encoding<E>(encoding: Option<Result<std::borrow::Cow<'_, [u8]>, E>>) -> Result<(), String> {
    match encoding {
        Some(Ok(name)) if !name.eq_ignore_ascii_case(b"utf-8") && !name.eq_ignore_ascii_case(b"us-ascii") => {
            let name = name.escape_ascii();
            Err(format!("a VOTable in the encoding {name}; convert it: `iconv -f {name} -t UTF-8`"))
        }
        _ => Ok(()),
    }
}
