//! Assigns roles to the columns of a catalogue.
//!
//! In: the names of the columns, and the roles that the user states. Out: the index of the column of each role.
//!
//! Roles that the user does not state are guessed from the names, in any case. If two columns fit a role, that is an
//! error. The five magnitudes must follow one naming scheme, because a column `z` beside `modelMag_z` may be the
//! redshift.

use std::fmt;
use std::str::FromStr;

use pipeline::partition::BANDS;

/// Role of a column in a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Identifier of the object.
    ObjectId,
    /// Right ascension in degrees.
    Ra,
    /// Declination in degrees.
    Dec,
    /// Known redshift.
    Redshift,
    /// Magnitude in a band: 0 to 4 for u g r i z.
    Band(usize),
}

/// Error for text that is not the name of a role, see [`ROLES`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown column role `{0}`; expected one of {roles}", roles = ROLES.map(|(name, _)| name).join(" "))]
pub struct UnknownRole(pub String);

/// Every role with the name that users write.
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

/// Names of the bands.
pub(crate) const BAND_NAMES: [&str; BANDS] = ["u", "g", "r", "i", "z"];

/// Other common names of columns with these roles, in lower case.
pub(super) const OTHER_NAMES: [(Role, &[&str]); 4] = [
    (Role::ObjectId, &["objectid", "objid", "obj_id", "id", "source_id", "sourceid"]),
    (Role::Ra, &["raj2000", "ra_j2000", "ra_deg", "right_ascension", "alpha_j2000"]),
    (Role::Dec, &["decj2000", "dec_j2000", "dej2000", "de_j2000", "dec_deg", "decl", "declination", "delta_j2000"]),
    (Role::Redshift, &["z_spec", "zspec", "spec_z", "specz", "z_sp"]),
];

/// Naming schemes of the five magnitudes, in lower case.
const FAMILIES: [&str; 19] = [
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
    // Columns with five values in each row, as SDSS writes them, in the order u g r i z.
    "modelmag[{index}]",
    "cmodelmag[{index}]",
    "petromag[{index}]",
    "psfmag[{index}]",
    "magnitudes[{index}]",
];

/// Name in `--columns` that leaves out a role, if no column has this name. An empty name leaves it out, too.
const LEFT_OUT: &str = "none";

/// Index of the column of each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) bands: [usize; BANDS],
    pub(super) object_id: Option<usize>,
    pub(super) ra: Option<usize>,
    pub(super) dec: Option<usize>,
    pub(super) redshift: Option<usize>,
}

/// Assigns roles to columns, by name. `stated` holds the roles that the user stated.
pub(super) fn choose(names: &[String], stated: &[(Role, String)]) -> Result<Chosen, String> {
    if let Some((role, _)) = stated
        .iter()
        .enumerate()
        .find_map(|(at, (role, name))| stated[..at].iter().any(|(earlier, _)| earlier == role).then_some((role, name)))
    {
        return Err(format!("`--columns` names two columns for `{role}`"));
    }
    let stated_name = |role: Role| stated.iter().find(|(found, _)| *found == role).map(|(_, name)| name.as_str());
    let is_left_out = |name: &str| name.is_empty() || (name == LEFT_OUT && find(names, name).is_err());
    let stated_or_guessed = |role: Role| match stated_name(role) {
        None => guess(names, role),
        Some(name) if is_left_out(name) => Ok(None),
        Some(name) => find(names, name).map(Some),
    };
    let mut bands = [None; BANDS];
    for (band, column) in bands.iter_mut().enumerate() {
        *column = match stated_name(Role::Band(band)) {
            Some(name) if is_left_out(name) => {
                return Err(format!(
                    "the magnitude `{}` cannot be left out; the model needs all five",
                    BAND_NAMES[band]
                ));
            }
            name => name.map(|name| find(names, name)).transpose()?,
        };
    }
    let chosen = Chosen {
        bands: guess_bands(names, bands)?,
        object_id: stated_or_guessed(Role::ObjectId)?,
        ra: stated_or_guessed(Role::Ra)?,
        dec: stated_or_guessed(Role::Dec)?,
        redshift: stated_or_guessed(Role::Redshift)?,
    };
    reject_shared(&chosen, names)?;
    Ok(chosen)
}

/// Rejects a column that would have two roles.
fn reject_shared(chosen: &Chosen, names: &[String]) -> Result<(), String> {
    let Chosen { bands, object_id, ra, dec, redshift } = *chosen;
    let others = [(Role::ObjectId, object_id), (Role::Ra, ra), (Role::Dec, dec), (Role::Redshift, redshift)];
    let bands = bands.into_iter().enumerate().map(|(band, place)| (Role::Band(band), Some(place)));
    let mut taken: Vec<(Role, usize)> = Vec::new();
    for (role, place) in bands.chain(others) {
        let Some(place) = place else { continue };
        if let Some((other, _)) = taken.iter().find(|(_, found)| *found == place) {
            let name = &names[place];
            return Err(format!(
                "column `{name}` would be both `{other}` and `{role}`; name the column of each role with `--columns`"
            ));
        }
        taken.push((role, place));
    }
    Ok(())
}

/// Returns the index of the column with this name. If no name matches exactly, upper and lower case are the same.
pub(super) fn find(names: &[String], name: &str) -> Result<usize, String> {
    let exact = places(names, |found| found == name);
    let any_case = places(names, |found| found.eq_ignore_ascii_case(name));
    match (exact.as_slice(), any_case.as_slice()) {
        (&[one], _) | (&[], &[one]) => Ok(one),
        (&[], &[]) => Err(format!("no column `{name}`; the columns are {}", listed(names))),
        _ => Err(format!("more than one column `{name}`; give them different names")),
    }
}

/// Guesses the column of a role from the names. Returns None if no name fits.
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
            Err(format!("{} could each be `{own}`; choose one with `--columns {own}=NAME`", many.join(" and ")))
        }
    }
}

/// Guesses the columns of the five magnitudes. `stated` holds the columns that the user stated.
fn guess_bands(names: &[String], stated: [Option<usize>; BANDS]) -> Result<[usize; BANDS], String> {
    let of_family = |family: &&str| {
        let mut bands = [0; BANDS];
        for (band, place) in bands.iter_mut().enumerate() {
            let name = family_name(family, band);
            *place = match (stated[band], places(names, |found| found.eq_ignore_ascii_case(&name)).as_slice()) {
                (Some(column), _) | (None, &[column]) => column,
                _ => return None,
            };
        }
        Some(bands)
    };
    if let [Some(u), Some(g), Some(r), Some(i), Some(z)] = stated {
        return Ok([u, g, r, i, z]);
    }
    let complete: Vec<[usize; BANDS]> = FAMILIES.iter().filter_map(of_family).collect();
    if complete.is_empty() {
        reject_repeated(names, stated)?;
    }
    match complete.as_slice() {
        &[one] => Ok(one),
        [] => Err(format!(
            "no columns for the magnitudes u g r i z; name them with \
             `--columns u=NAME,g=NAME,r=NAME,i=NAME,z=NAME`; the columns are {}",
            listed(names)
        )),
        many => {
            let shown: Vec<String> = many.iter().map(|bands| format!("`{}`, …", names[bands[0]])).collect();
            Err(format!(
                "{} sets of columns could be the magnitudes ({}); choose with \
                 `--columns u=NAME,g=NAME,r=NAME,i=NAME,z=NAME`",
                many.len(),
                shown.join("; ")
            ))
        }
    }
}

/// Rejects names that occur twice, if they are the reason why a naming scheme is not complete.
fn reject_repeated(names: &[String], stated: [Option<usize>; BANDS]) -> Result<(), String> {
    for family in FAMILIES {
        let found = |band: usize| {
            let name = family_name(family, band);
            places(names, |found| found.eq_ignore_ascii_case(&name))
        };
        let unstated = || (0..BANDS).filter(|&band| stated[band].is_none());
        if unstated().all(|band| !found(band).is_empty())
            && let Some(repeated) = unstated().map(found).find(|places| places.len() > 1)
        {
            return Err(format!(
                "more than one column `{}`; give them different names, or choose with `--columns`",
                names[repeated[0]]
            ));
        }
    }
    Ok(())
}

fn family_name(family: &str, band: usize) -> String {
    family.replace("{band}", BAND_NAMES[band]).replace("{index}", &band.to_string())
}

fn places(names: &[String], is_it: impl Fn(&str) -> bool) -> Vec<usize> {
    names.iter().enumerate().filter(|(_, name)| is_it(name)).map(|(place, _)| place).collect()
}

/// Lists the first names, for messages.
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
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let known = ROLES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        known.map(|(_, role)| *role).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn guesses_roles_from_names_in_any_case() {
        let chosen = choose(&names(&["objID", "RA", "Dec", "U", "g", "R", "i", "Z", "specz", "x"]), &[]).unwrap();
        assert_eq!(chosen.bands, [3, 4, 5, 6, 7]);
        assert_eq!((chosen.object_id, chosen.ra, chosen.dec, chosen.redshift), (Some(0), Some(1), Some(2), Some(8)));
        let chosen =
            choose(&names(&["modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z"]), &[]).unwrap();
        assert_eq!((chosen.bands, chosen.object_id, chosen.redshift), ([0, 1, 2, 3, 4], None, None));
        let chosen = choose(&names(&["object_id", "id", "u", "g", "r", "i", "z"]), &[]).unwrap();
        assert_eq!(chosen.object_id, Some(0));
    }

    /// In a table of spectra, `z` is the redshift. It must not become a magnitude.
    #[test]
    fn does_not_take_a_lone_z_for_a_magnitude() {
        let sdss = names(&["z", "dered_u", "dered_g", "dered_r", "dered_i", "dered_z"]);
        let chosen = choose(&sdss, &[]).unwrap();
        assert_eq!((chosen.bands, chosen.redshift), ([1, 2, 3, 4, 5], None));
        let stated = [(Role::Redshift, "z".to_owned())];
        assert_eq!(choose(&sdss, &stated).unwrap().redshift, Some(0));
        assert!(choose(&names(&["u", "g", "r", "i"]), &[]).unwrap_err().contains("no columns for the magnitudes"));
    }

    #[test]
    fn rejects_a_role_that_two_columns_could_have() {
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
    fn rejects_a_column_with_two_roles_and_a_role_stated_twice() {
        let table = names(&["u", "g", "r", "i", "z", "id", "objid"]);
        let refused = |stated: &[(Role, &str)]| {
            let stated: Vec<(Role, String)> = stated.iter().map(|&(role, name)| (role, name.to_owned())).collect();
            choose(&table, &stated).unwrap_err()
        };
        let id = (Role::ObjectId, "id");
        assert!(refused(&[id, (Role::Redshift, "z")]).contains("`z` would be both `z` and `redshift`"));
        assert!(refused(&[id, (Role::Band(0), "g")]).contains("`g` would be both `u` and `g`"));
        assert!(refused(&[id, (Role::ObjectId, "objid")]).contains("names two columns for `object_id`"));
    }

    #[test]
    fn prefers_stated_columns_to_guesses() {
        let both = names(&["u", "g", "r", "i", "z", "u_mag", "g_mag", "r_mag", "i_mag", "z_mag"]);
        let stated: Vec<(Role, String)> =
            BAND_NAMES.iter().enumerate().map(|(band, name)| (Role::Band(band), format!("{name}_MAG"))).collect();
        assert_eq!(choose(&both, &stated).unwrap().bands, [5, 6, 7, 8, 9]);
        let error = choose(&both, &[(Role::Dec, "decl".to_owned())]).unwrap_err();
        assert!(error.contains("2 sets of columns could be the magnitudes"), "{error}");
        let one = names(&["uu", "g", "r", "i", "z"]);
        assert_eq!(choose(&one, &[(Role::Band(0), "uu".to_owned())]).unwrap().bands, [0, 1, 2, 3, 4]);
        assert!(choose(&one, &[(Role::Band(0), "x".to_owned())]).unwrap_err().contains("no column `x`"));
        assert_eq!("Object_ID".parse(), Ok(Role::ObjectId));
        let error = "w1".parse::<Role>().unwrap_err().to_string();
        assert_eq!(error, "unknown column role `w1`; expected one of object_id ra dec redshift u g r i z");
    }
}
