//! Which column of a catalogue is what: its names, and what the person said, in; places of columns out.
//!
//! What is not said is guessed from the name, whatever its case. A guess that could be two columns is an error: `z`
//! beside `modelMag_z` may well be the redshift, so that the five magnitudes are taken only together, named in one way.

use std::fmt;
use std::str::FromStr;

use crate::partition::BANDS;

/// What a column can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An identifier.
    ObjectId,
    /// Right ascension in degrees.
    Ra,
    /// Declination in degrees.
    Dec,
    /// A known redshift.
    Redshift,
    /// A magnitude: 0 to 4 for u g r i z.
    Band(usize),
}

/// Every role under the name that a person gives it.
pub const ROLES: [(&str, Role); 9] = [
    ("object_id", Role::ObjectId),
    ("ra", Role::Ra),
    ("dec", Role::Dec),
    ("redshift", Role::Redshift),
    ("u", Role::Band(0)),
    ("g", Role::Band(1)),
    ("r", Role::Band(2)),
    ("i", Role::Band(3)),
    ("z", Role::Band(4)),
];

/// The letters of the bands.
pub(super) const BAND_NAMES: [&str; BANDS] = ["u", "g", "r", "i", "z"];

/// Names of columns that are what [`ROLES`] calls otherwise, in small letters.
const OTHER_NAMES: [(Role, &[&str]); 4] = [
    (Role::ObjectId, &["objectid", "objid", "obj_id", "id", "source_id", "sourceid"]),
    (Role::Ra, &["raj2000", "ra_j2000", "ra_deg", "right_ascension", "alpha_j2000"]),
    (Role::Dec, &["decj2000", "dec_j2000", "dej2000", "de_j2000", "dec_deg", "decl", "declination", "delta_j2000"]),
    (Role::Redshift, &["z_spec", "zspec", "spec_z", "specz", "z_sp"]),
];

/// How the five magnitudes are named together, in small letters.
const FAMILIES: [&str; 14] = [
    "{band}",
    "mag_{band}",
    "magnitude_{band}",
    "{band}_mag",
    "{band}mag",
    "mag{band}",
    "modelmag_{band}",
    "model_mag_{band}",
    "cmodelmag_{band}",
    "cmodel_mag_{band}",
    "petromag_{band}",
    "psfmag_{band}",
    "dered_{band}",
    "mag_model_{band}",
];

/// Where in a catalogue the columns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) bands: [usize; BANDS],
    pub(super) object_id: Option<usize>,
    pub(super) ra: Option<usize>,
    pub(super) dec: Option<usize>,
    pub(super) redshift: Option<usize>,
}

/// Chooses among the columns of these names.
pub(super) fn choose(names: &[String], said: &[(Role, String)]) -> Result<Chosen, String> {
    if let Some((role, _)) = said
        .iter()
        .enumerate()
        .find_map(|(at, (role, name))| said[..at].iter().any(|(earlier, _)| earlier == role).then_some((role, name)))
    {
        return Err(format!("`--columns` says twice which column is `{role}`"));
    }
    let said_of =
        |role: Role| said.iter().find(|(found, _)| *found == role).map(|(_, name)| find(names, name)).transpose();
    let guess_or_said = |role: Role| said_of(role)?.map_or_else(|| guess(names, role), |column| Ok(Some(column)));
    let mut bands = [None; BANDS];
    for (band, column) in bands.iter_mut().enumerate() {
        *column = said_of(Role::Band(band))?;
    }
    let chosen = Chosen {
        bands: guess_bands(names, bands)?,
        object_id: guess_or_said(Role::ObjectId)?,
        ra: guess_or_said(Role::Ra)?,
        dec: guess_or_said(Role::Dec)?,
        redshift: guess_or_said(Role::Redshift)?,
    };
    refuse_shared(&chosen, names)?;
    Ok(chosen)
}

/// Refuses a column that would be two things at once.
fn refuse_shared(chosen: &Chosen, names: &[String]) -> Result<(), String> {
    let Chosen { bands, object_id, ra, dec, redshift } = *chosen;
    let others = [(Role::ObjectId, object_id), (Role::Ra, ra), (Role::Dec, dec), (Role::Redshift, redshift)];
    let bands = bands.into_iter().enumerate().map(|(band, place)| (Role::Band(band), Some(place)));
    let mut taken: Vec<(Role, usize)> = Vec::new();
    for (role, place) in bands.chain(others) {
        let Some(place) = place else { continue };
        if let Some((other, _)) = taken.iter().find(|(_, found)| *found == place) {
            let name = &names[place];
            return Err(format!(
                "column `{name}` would be both `{other}` and `{role}`; say with `--columns` which columns are which"
            ));
        }
        taken.push((role, place));
    }
    Ok(())
}

/// The column of this name: written so, or the only one that differs in case alone.
pub(super) fn find(names: &[String], name: &str) -> Result<usize, String> {
    let exact = places(names, |found| found == name);
    let any_case = places(names, |found| found.eq_ignore_ascii_case(name));
    match (exact.as_slice(), any_case.as_slice()) {
        (&[one], _) | (&[], &[one]) => Ok(one),
        (&[], &[]) => Err(format!("no column `{name}`; there are {}", listed(names))),
        _ => Err(format!("more than one column `{name}`; name them apart")),
    }
}

/// The column that is `role` by its name; None where none is.
fn guess(names: &[String], role: Role) -> Result<Option<usize>, String> {
    let own = role.to_string();
    let others = OTHER_NAMES.iter().find(|(found, _)| *found == role).map_or(&[][..], |(_, others)| others);
    let own_places = places(names, |found| found.eq_ignore_ascii_case(&own));
    let found = match own_places.as_slice() {
        [] => places(names, |found| others.iter().any(|other| found.eq_ignore_ascii_case(other))),
        _ => own_places,
    };
    match found.as_slice() {
        [] => Ok(None),
        &[one] => Ok(Some(one)),
        many => {
            let many: Vec<String> = many.iter().map(|&place| format!("`{}`", names[place])).collect();
            Err(format!("{} could each be `{own}`; say which: `--columns {own}=NAME`", many.join(" and ")))
        }
    }
}

/// The columns of the five magnitudes, of which some may be `said`.
fn guess_bands(names: &[String], said: [Option<usize>; BANDS]) -> Result<[usize; BANDS], String> {
    let of_family = |family: &&str| {
        let mut bands = [0; BANDS];
        for (band, place) in bands.iter_mut().enumerate() {
            let name = family.replace("{band}", BAND_NAMES[band]);
            *place = match (said[band], places(names, |found| found.eq_ignore_ascii_case(&name)).as_slice()) {
                (Some(said), _) | (None, &[said]) => said,
                _ => return None,
            };
        }
        Some(bands)
    };
    if let [Some(u), Some(g), Some(r), Some(i), Some(z)] = said {
        return Ok([u, g, r, i, z]);
    }
    let complete: Vec<[usize; BANDS]> = FAMILIES.iter().filter_map(of_family).collect();
    match complete.as_slice() {
        &[one] => Ok(one),
        [] => Err(format!(
            "no columns for the magnitudes u g r i z; say which they are: `--columns u=NAME,g=NAME,r=NAME,i=NAME,z=NAME`; \
             there are {}",
            listed(names)
        )),
        many => {
            let shown: Vec<String> = many.iter().map(|bands| format!("`{}`, …", names[bands[0]])).collect();
            Err(format!(
                "magnitudes under {} names ({}); say which: `--columns u=NAME,g=NAME,r=NAME,i=NAME,z=NAME`",
                many.len(),
                shown.join("; ")
            ))
        }
    }
}

fn places(names: &[String], is_it: impl Fn(&str) -> bool) -> Vec<usize> {
    names.iter().enumerate().filter(|(_, name)| is_it(name)).map(|(place, _)| place).collect()
}

/// The first few names, for messages.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 30;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    shown.join(", ").chars().take(1_000).collect::<String>() + more
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ROLES.iter().find(|(_, role)| role == self).map_or("?", |(name, _)| name))
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = ROLES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        known.map(|(_, role)| *role).ok_or_else(|| {
            let names: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is nothing that a column can be; expected one of {}", names.join(" "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_are_guessed_in_any_case() {
        let chosen = choose(&names(&["objID", "RA", "Dec", "U", "g", "R", "i", "Z", "specz", "x"]), &[]).unwrap();
        assert_eq!(chosen.bands, [3, 4, 5, 6, 7]);
        assert_eq!((chosen.object_id, chosen.ra, chosen.dec, chosen.redshift), (Some(0), Some(1), Some(2), Some(8)));
        let chosen =
            choose(&names(&["modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z"]), &[]).unwrap();
        assert_eq!((chosen.bands, chosen.object_id, chosen.redshift), ([0, 1, 2, 3, 4], None, None));
        let chosen = choose(&names(&["object_id", "id", "u", "g", "r", "i", "z"]), &[]).unwrap();
        assert_eq!(chosen.object_id, Some(0));
    }

    /// In a table of spectra `z` is the redshift; a magnitude it must not become.
    #[test]
    fn a_lone_z_is_no_magnitude() {
        let sdss = names(&["z", "dered_u", "dered_g", "dered_r", "dered_i", "dered_z"]);
        let chosen = choose(&sdss, &[]).unwrap();
        assert_eq!((chosen.bands, chosen.redshift), ([1, 2, 3, 4, 5], None));
        let said = [(Role::Redshift, "z".to_owned())];
        assert_eq!(choose(&sdss, &said).unwrap().redshift, Some(0));
        assert!(choose(&names(&["u", "g", "r", "i"]), &[]).unwrap_err().contains("no columns for the magnitudes"));
    }

    #[test]
    fn what_could_be_two_columns_is_an_error() {
        let both = names(&["u", "g", "r", "i", "z", "u_mag", "g_mag", "r_mag", "i_mag", "z_mag"]);
        let error = choose(&both, &[]).unwrap_err();
        assert!(error.contains("`u`, …; `u_mag`, …") && error.contains("--columns"), "{error}");
        let error = choose(&names(&["u", "g", "r", "i", "z", "objid", "id"]), &[]).unwrap_err();
        assert!(error.contains("`objid` and `id` could each be `object_id`"), "{error}");
        let error = choose(&names(&["u", "g", "r", "i", "z", "ra", "RA"]), &[]).unwrap_err();
        assert!(error.contains("`ra` and `RA`"), "{error}");
        assert_eq!(
            choose(&names(&["u", "g", "r", "i", "z", "ra", "RA"]), &[(Role::Ra, "RA".into())]).unwrap().ra,
            Some(6)
        );
    }

    #[test]
    fn no_column_is_two_things_and_nothing_is_said_twice() {
        let table = names(&["u", "g", "r", "i", "z", "id", "objid"]);
        let refused = |said: &[(Role, &str)]| {
            let said: Vec<(Role, String)> = said.iter().map(|&(role, name)| (role, name.to_owned())).collect();
            choose(&table, &said).unwrap_err()
        };
        let id = (Role::ObjectId, "id");
        assert!(refused(&[id, (Role::Redshift, "z")]).contains("`z` would be both `z` and `redshift`"));
        assert!(refused(&[id, (Role::Band(0), "g")]).contains("`g` would be both `u` and `g`"));
        assert!(refused(&[id, (Role::ObjectId, "objid")]).contains("says twice which column is `object_id`"));
    }

    #[test]
    fn what_is_said_comes_first() {
        let both = names(&["u", "g", "r", "i", "z", "u_mag", "g_mag", "r_mag", "i_mag", "z_mag"]);
        let said: Vec<(Role, String)> =
            BAND_NAMES.iter().enumerate().map(|(band, name)| (Role::Band(band), format!("{name}_MAG"))).collect();
        assert_eq!(choose(&both, &said).unwrap().bands, [5, 6, 7, 8, 9]);
        let error = choose(&both, &[(Role::Dec, "decl".to_owned())]).unwrap_err();
        assert!(error.contains("no columns") || error.contains("names"), "{error}");
        let one = names(&["uu", "g", "r", "i", "z"]);
        assert_eq!(choose(&one, &[(Role::Band(0), "uu".to_owned())]).unwrap().bands, [0, 1, 2, 3, 4]);
        assert!(choose(&one, &[(Role::Band(0), "x".to_owned())]).unwrap_err().contains("no column `x`"));
        assert_eq!("Object_ID".parse(), Ok(Role::ObjectId));
        assert!("w1".parse::<Role>().unwrap_err().contains("object_id ra dec redshift u g r i z"));
    }
}
