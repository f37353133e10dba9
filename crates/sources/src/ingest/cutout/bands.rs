//! Finds out from FITS headers which band an image has.
//!
//! Archives write the bands of a cube into `BANDS` and `BAND0`, `BAND1`, … (Legacy Survey), and the band of a single
//! image into `FILTER`, `BAND` or the name of its extension (`EXTNAME`).

use fitsio_pure::header::Card;

use super::super::columns::BAND_NAMES;
use super::super::fits_file::text;

/// Letters of bands that an image may have. Only five of them are in a partition.
const LETTERS: &str = "ugrizy";
/// Words in names of bands and extensions that state no band.
const WORDS: [&str; 9] = ["sdss", "band", "image", "img", "sci", "filter", "decam", "des", "ps1"];

/// Names of the bands of a cube with this number of planes, in the order of the planes, and the keyword that states
/// them. Returns None if the header does not state them.
pub(super) fn of_planes(cards: &[Card], planes: usize) -> Option<(Vec<String>, &'static str)> {
    for prefix in ["BAND", "FILTER"] {
        for first in [0, 1] {
            let stated = |plane: usize| text(cards, &format!("{prefix}{}", plane + first)).map(normal);
            if let Some(bands) = (0..planes).map(stated).collect::<Option<Vec<String>>>().filter(|b| !b.is_empty()) {
                return Some((bands, if prefix == "BAND" { "BAND0, BAND1, …" } else { "FILTER0, FILTER1, …" }));
            }
        }
    }
    for keyword in ["BANDS", "FILTERS", "FILTER", "BAND"] {
        let Some(stated) = text(cards, keyword).filter(|stated| !stated.is_empty()) else { continue };
        let parts: Vec<&str> = stated.split([',', ' ', ';', '/', '-']).filter(|part| !part.is_empty()).collect();
        let bands: Vec<String> = match parts.as_slice() {
            [letters] if letters.chars().count() > 1 && letters.chars().all(|c| c.is_ascii_alphabetic()) => {
                letters.chars().map(|letter| letter.to_ascii_lowercase().to_string()).collect()
            }
            parts => parts.iter().map(|part| normal(part)).collect(),
        };
        if bands.len() == planes || keyword == "BANDS" {
            return Some((bands, keyword));
        }
    }
    None
}

/// Band of an image of one plane: a letter of [`LETTERS`]. Returns None if the header states none that is known.
pub(super) fn of_image(cards: &[Card]) -> Option<String> {
    let stated = ["FILTER", "BAND", "FILTER1", "EXTNAME"].into_iter().filter_map(|keyword| text(cards, keyword));
    stated.map(normal).find(|band| band.len() == 1 && LETTERS.contains(band.as_str()))
}

/// Index of each band u g r i z among `found`. Fails if one is missing or occurs twice; `keyword` states them.
pub(super) fn order(found: &[String], keyword: &str) -> Result<[usize; BAND_NAMES.len()], String> {
    let mut order = [0; BAND_NAMES.len()];
    for (place, band) in order.iter_mut().zip(BAND_NAMES) {
        let mut places = found.iter().enumerate().filter(|(_, name)| *name == band).map(|(place, _)| place);
        *place = match (places.next(), places.next()) {
            (Some(place), None) => place,
            (Some(_), Some(_)) => return Err(format!("the band {band} occurs twice ({keyword})")),
            (None, _) => {
                let found: String = found.join(" ").chars().take(60).collect();
                return Err(format!("the header states the bands {found} ({keyword}); expected u g r i z"));
            }
        };
    }
    Ok(order)
}

/// Reduces the name of a band to its letter, if it has one: `SDSS r'`, `sdss_r`, `r.MP9602` and `R` are `r`.
fn normal(name: &str) -> String {
    let lower = name.trim().to_ascii_lowercase();
    let tokens: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|token| !token.is_empty() && !WORDS.contains(token))
        .collect();
    let letters: Vec<&&str> = tokens.iter().filter(|token| token.len() == 1 && LETTERS.contains(**token)).collect();
    match letters.as_slice() {
        // Words such as `ivar` or `mask` beside the letter say that it is another kind of image.
        [letter]
            if tokens.len() == 1 || tokens.iter().all(|t| t == *letter || t.bytes().any(|b| b.is_ascii_digit())) =>
        {
            (**letter).to_owned()
        }
        _ => lower,
    }
}

#[cfg(test)]
mod tests {
    use fitsio_pure::value::Value;

    use super::*;

    fn cards(cards: &[(&str, &str)]) -> Vec<Card> {
        cards.iter().map(|(keyword, text)| Card::new(keyword, Value::String((*text).to_owned())).unwrap()).collect()
    }

    #[test]
    fn recognises_names_of_bands() {
        for name in ["r", "R", " r'", "SDSS r", "sdss_r", "r.MP9602", "SDSS-R-band", "band_r", "image-r"] {
            assert_eq!(normal(name), "r", "{name}");
        }
        for name in ["r_ivar", "mask r", "clear", "ugriz", "", "SCI"] {
            assert_ne!(normal(name), "r", "{name}");
        }
        assert_eq!(of_image(&cards(&[("EXTNAME", "SCI"), ("FILTER", "i")])).as_deref(), Some("i"));
        assert_eq!(of_image(&cards(&[("EXTNAME", "PRIMARY")])), None);
    }

    #[test]
    fn finds_the_bands_of_a_cube() {
        let of = |stated: &[(&str, &str)], planes| of_planes(&cards(stated), planes).map(|(bands, _)| bands.concat());
        assert_eq!(of(&[("BANDS", "grizy")], 5).as_deref(), Some("grizy"));
        assert_eq!(of(&[("BANDS", "u,g,r,i,z")], 5).as_deref(), Some("ugriz"));
        assert_eq!(of(&[("BAND0", "z"), ("BAND1", "i")], 2).as_deref(), Some("zi"));
        assert_eq!(of(&[("FILTER1", "g"), ("FILTER2", "r")], 2).as_deref(), Some("gr"));
        assert_eq!(of(&[("FILTER", "ugriz")], 5).as_deref(), Some("ugriz"));
        assert_eq!(of(&[("BANDS", "griz")], 5).as_deref(), Some("griz"));
        assert_eq!(of(&[("FILTER", "r")], 5), None);
    }

    #[test]
    fn orders_planes_by_name() {
        let bands: Vec<String> = "zirgu".chars().map(String::from).collect();
        assert_eq!(order(&bands, "BANDS"), Ok([4, 3, 2, 1, 0]));
        let other: Vec<String> = "grizy".chars().map(String::from).collect();
        assert!(order(&other, "BANDS").unwrap_err().contains("states the bands g r i z y (BANDS)"));
        let twice: Vec<String> = "ugrizu".chars().map(String::from).collect();
        assert!(order(&twice, "BANDS").unwrap_err().contains("the band u occurs twice"));
    }
}
