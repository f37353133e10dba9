//! Finds the sets of five magnitudes among the columns, and chooses one.
//!
//! A set is one column of five values, or five columns whose names differ in the band only: `dered_petro_u` to
//! `dered_petro_z`, `u_mag` to `z_mag`, or `u` to `z`.

use pipeline::partition::BANDS;

use super::super::columns::BAND_NAMES;
use super::table::Column;

/// Name of a set without any text around the band.
const BARE: &str = "ugriz";
/// Parts of names of numbers that belong to magnitudes and are none.
const OTHER_QUANTITIES: [&str; 9] = ["err", "sig", "unc", "var", "ext", "flux", "flag", "snr", "rad"];

/// Columns that hold the magnitudes of the five bands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MagnitudeSet {
    /// Name without the band: `dered_petro`.
    pub(super) name: String,
    /// Five columns in the order u g r i z, or one column of five values.
    pub(super) columns: Vec<Column>,
}

impl MagnitudeSet {
    /// Returns true if the name is one that magnitudes have.
    fn is_magnitude(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        let is_named = name.contains("mag") || name.starts_with("dered") || name == BARE;
        is_named && !OTHER_QUANTITIES.iter().any(|other| name.contains(other))
    }

    /// Returns true if the columns are named by the band alone, so that `z` is a magnitude.
    pub(super) fn is_bare(&self) -> bool {
        self.name == BARE
    }
}

/// Finds all sets among the columns.
pub(super) fn sets(columns: &[Column]) -> Vec<MagnitudeSet> {
    let mut found: Vec<MagnitudeSet> = columns
        .iter()
        .filter(|column| column.length == BANDS)
        .map(|column| MagnitudeSet { name: column.name.clone(), columns: vec![column.clone()] })
        .collect();
    for column in columns.iter().filter(|column| column.length == 1) {
        for (before, after) in around_first_band(&column.name) {
            let of_band = |band: &&str| {
                let wanted = format!("{before}{band}{after}");
                columns.iter().find(|column| column.length == 1 && column.name.eq_ignore_ascii_case(&wanted)).cloned()
            };
            let Some(columns) = BAND_NAMES.iter().map(of_band).collect::<Option<Vec<Column>>>() else {
                continue;
            };
            let name = format!("{before}{after}").trim_matches('_').to_owned();
            let name = if name.is_empty() { BARE.to_owned() } else { name };
            if !found.iter().any(|set| set.name == name) {
                found.push(MagnitudeSet { name, columns });
            }
        }
    }
    found
}

/// Returns what is before and after the band u, if the name begins or ends with it, or has it between underscores.
fn around_first_band(name: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let is_u = |letter: &str| letter.eq_ignore_ascii_case("u");
    let last = name.len().saturating_sub(1);
    if name.get(last..).is_some_and(is_u) {
        found.push((&name[..last], ""));
    }
    if name.len() > 1 && name.get(..1).is_some_and(is_u) {
        found.push(("", &name[1..]));
    }
    let middle = name.to_ascii_lowercase().find("_u_");
    found.extend(middle.map(|at| (&name[..=at], &name[at + 2..])));
    found
}

/// Chooses the set that the user names, or the only one that has a name of magnitudes.
pub(super) fn choose(mut sets: Vec<MagnitudeSet>, wanted: Option<&str>) -> Result<MagnitudeSet, String> {
    let listed = |sets: &[MagnitudeSet]| {
        let names: Vec<String> = sets.iter().map(|set| format!("`{}`", set.name)).collect();
        names.join(", ")
    };
    if let Some(wanted) = wanted {
        let place = sets.iter().position(|set| set.name == wanted).or_else(|| {
            let same = |set: &MagnitudeSet| set.name.eq_ignore_ascii_case(wanted.trim_matches('_'));
            sets.iter().position(same)
        });
        return match place {
            Some(place) => Ok(sets.swap_remove(place)),
            None if sets.is_empty() => Err(format!("no set of five magnitudes `{wanted}`, and no other set")),
            None => Err(format!("no set of five magnitudes `{wanted}`; the sets are {}", listed(&sets))),
        };
    }
    if let Some(place) = sets.iter().position(|set| set.name == "magnitudes") {
        return Ok(sets.swap_remove(place));
    }
    let mut named: Vec<MagnitudeSet> = sets.iter().filter(|set| set.is_magnitude()).cloned().collect();
    match named.len() {
        1 => Ok(named.swap_remove(0)),
        0 if sets.is_empty() => {
            Err("no magnitudes: expected an array `magnitudes` (n, 5), or five columns whose names \
                                     differ in the band only, such as `dered_petro_u` to `dered_petro_z`"
                .to_owned())
        }
        0 => Err(format!(
            "no set of columns is clearly magnitudes; the sets are {}; choose one with `--magnitudes NAME`",
            listed(&sets)
        )),
        _ => Err(format!("more than one set of magnitudes: {}; choose one with `--magnitudes NAME`", listed(&named))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<Column> {
        let column = |(at, name): (usize, &&str)| Column {
            name: (*name).to_owned(),
            array: 0,
            offset: 8 * at,
            length: if name.ends_with('5') { 5 } else { 1 },
            rows: 3,
            scalar: Err("not read in this test".to_owned()),
        };
        names.iter().enumerate().map(column).collect()
    }

    fn chosen(names: &[&str], wanted: Option<&str>) -> Result<(String, Vec<usize>), String> {
        choose(sets(&columns(names)), wanted)
            .map(|set| (set.name, set.columns.iter().map(|column| column.offset / 8).collect()))
    }

    #[test]
    fn the_only_set_with_a_name_of_magnitudes_is_the_default() {
        let pasquet = [
            "z",
            "d_u",
            "dered_petro_u",
            "dered_petro_g",
            "dered_petro_r",
            "dered_petro_i",
            "dered_petro_z",
            "petroMagErr_u",
            "petroMagErr_g",
            "petroMagErr_r",
            "petroMagErr_i",
            "petroMagErr_z",
        ];
        assert_eq!(chosen(&pasquet, None), Ok(("dered_petro".to_owned(), vec![2, 3, 4, 5, 6])));
        assert_eq!(chosen(&pasquet, Some("petroMagErr_")).unwrap().1, [7, 8, 9, 10, 11]);
        let error = chosen(&pasquet, Some("modelMag")).unwrap_err();
        assert!(error.ends_with("the sets are `dered_petro`, `petroMagErr`"), "{error}");
        // The columns may be in any order and case, with the band anywhere.
        assert_eq!(chosen(&["Z", "i", "r", "g", "U"], None), Ok(("ugriz".to_owned(), vec![4, 3, 2, 1, 0])));
        assert_eq!(chosen(&["umag", "gmag", "rmag", "imag", "zmag"], None).unwrap().0, "mag");
        assert_eq!(chosen(&["m_u_x", "m_g_x", "m_r_x", "m_i_x", "m_z_x"], Some("m__x")).unwrap().1.len(), 5);
        assert_eq!(chosen(&["modelMag5"], None), Ok(("modelMag5".to_owned(), vec![0])));
    }

    #[test]
    fn two_sets_are_refused_by_name() {
        let two = ["u", "g", "r", "i", "z", "petroMag_u", "petroMag_g", "petroMag_r", "petroMag_i", "petroMag_z"];
        let error = chosen(&two, None).unwrap_err();
        assert!(error.contains("more than one set of magnitudes: `ugriz`, `petroMag`"), "{error}");
        assert_eq!(chosen(&two, Some("PETROMAG")).unwrap().1[0], 5);
        let error = chosen(&two[..4], None).unwrap_err();
        assert!(error.starts_with("no magnitudes"), "{error}");
        let errors = ["magErr_u", "magErr_g", "magErr_r", "magErr_i", "magErr_z"];
        assert!(chosen(&errors, None).unwrap_err().contains("the sets are `magErr`"));
        assert_eq!(chosen(&["é", "u", "ué", "éu"], None).unwrap_err(), chosen(&[], None).unwrap_err());
    }
}
