//! Colours: a perceptually uniform colour map that colour-blind readers and grey prints can distinguish, and single
//! colours, each with a name and a counterpart for dark pages.

/// Red, green and blue in 0–255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(pub(super) [u8; 3]);

pub(super) const WHITE: Colour = Colour([255, 255, 255]);
pub(super) const INK: Colour = Colour([34, 34, 34]);
pub(super) const GREY: Colour = Colour([96, 96, 96]);
/// Vermilion of Okabe and Ito. It differs from every colour of the colour map, also for colour-blind readers.
pub(super) const VERMILION: Colour = Colour([213, 94, 0]);
pub(super) const BLUE: Colour = Colour([0, 114, 178]);
pub(super) const PALE_BLUE: Colour = Colour([190, 215, 234]);
pub(super) const GREEN: Colour = Colour([0, 158, 115]);
/// Reddish purple of Okabe and Ito, darkened, because the original has too little contrast on white.
pub(super) const PURPLE: Colour = Colour([179, 82, 139]);
/// For areas only: lines in this colour would be faint on white.
pub(super) const ORANGE: Colour = Colour([230, 159, 0]);
/// For areas only.
pub(super) const SKY: Colour = Colour([86, 180, 233]);
/// Grid lines behind data.
pub(super) const RULE: Colour = Colour([221, 221, 221]);

/// A named colour, which a page can replace with its own.
pub(super) struct Role {
    pub(super) name: &'static str,
    pub(super) light: Colour,
    pub(super) dark: Colour,
}

const fn role(name: &'static str, light: Colour, dark: [u8; 3]) -> Role {
    Role { name, light, dark: Colour(dark) }
}

/// All single colours. The first is the background.
pub(super) const ROLES: [Role; 11] = [
    role("paper", WHITE, [0x16, 0x19, 0x1d]),
    role("ink", INK, [0xe6, 0xe6, 0xe6]),
    role("quiet", GREY, [0x95, 0x9b, 0xa3]),
    role("rule", RULE, [0x3a, 0x3f, 0x46]),
    role("pale", PALE_BLUE, [0x2f, 0x4a, 0x60]),
    role("blue", BLUE, [0x3d, 0x9b, 0xe0]),
    role("vermilion", VERMILION, [0xf0, 0x80, 0x3c]),
    role("green", GREEN, [0x2b, 0xb5, 0x8a]),
    role("purple", PURPLE, [0xea, 0xa6, 0xd8]),
    role("orange", ORANGE, [0xf7, 0xd7, 0x74]),
    role("sky", SKY, [0x9a, 0xd4, 0xf7]),
];

/// Ten equally spaced steps of viridis (van der Walt and Smith, CC0).
const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3e, 0x4a, 0x89],
    [0x31, 0x68, 0x8e],
    [0x26, 0x82, 0x8e],
    [0x1f, 0x9e, 0x89],
    [0x35, 0xb7, 0x79],
    [0x6d, 0xcd, 0x59],
    [0xb4, 0xde, 0x2c],
    [0xfd, 0xe7, 0x25],
];

/// Returns the colour of viridis at 0–1, from dark to bright. Clamps values outside.
pub(super) fn viridis(at: f64) -> Colour {
    let at = at.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let (lower, part) = (VIRIDIS[at.floor() as usize], at.fract());
    let upper = VIRIDIS[at.ceil() as usize];
    let mix = |channel: usize| {
        let (from, to) = (f64::from(lower[channel]), f64::from(upper[channel]));
        (from + (to - from) * part).round() as u8
    };
    Colour([mix(0), mix(1), mix(2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance: the brightness of a grey print.
    fn luminance(colour: Colour) -> f64 {
        let [red, green, blue] = colour.0.map(|channel| (f64::from(channel) / 255.0).powf(2.2));
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Contrast ratio of WCAG 2.
    fn contrast(one: Colour, other: Colour) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn roles_differ_and_have_contrast_on_light_and_dark_pages() {
        let [paper, rest @ ..] = &ROLES;
        for role in rest {
            let wanted = match role.name {
                "ink" => 10.0,
                "quiet" => 4.5,
                "rule" | "pale" => 1.3,
                "orange" | "sky" => 2.2,
                _ => 3.0,
            };
            let found = [contrast(role.light, paper.light), contrast(role.dark, paper.dark)];
            assert!(found.iter().all(|found| *found >= wanted), "{}: {found:?}", role.name);
        }
        for (index, role) in ROLES.iter().enumerate() {
            let others = &ROLES[index + 1..];
            assert!(others.iter().all(|other| other.light != role.light && other.name != role.name), "{}", role.name);
        }
    }

    #[test]
    fn viridis_brightens_monotonically() {
        let steps: Vec<f64> = (0..=50).map(|step| luminance(viridis(f64::from(step) / 50.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        assert_eq!((viridis(-1.0), viridis(2.0)), (Colour(VIRIDIS[0]), Colour(VIRIDIS[9])));
    }
}
