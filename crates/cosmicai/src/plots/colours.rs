//! The colours: a scale that is even to the eye, readable by colour-blind people and in grey, and a few single ones.

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(pub(super) [u8; 3]);

pub(super) const WHITE: Colour = Colour([255, 255, 255]);
pub(super) const INK: Colour = Colour([34, 34, 34]);
pub(super) const GREY: Colour = Colour([96, 96, 96]);
/// Okabe and Ito's vermilion: apart from every colour of the scale, also for colour-blind people.
pub(super) const VERMILION: Colour = Colour([213, 94, 0]);
pub(super) const BLUE: Colour = Colour([0, 114, 178]);
pub(super) const PALE_BLUE: Colour = Colour([190, 215, 234]);

/// Ten even steps of viridis (van der Walt and Smith, CC0).
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

/// The scale's colour at 0–1, from few (dark) to many (bright).
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

    /// Relative luminance, as a print in grey shows it.
    fn luminance(colour: Colour) -> f64 {
        let [red, green, blue] = colour.0.map(|channel| (f64::from(channel) / 255.0).powf(2.2));
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn the_scale_brightens_all_the_way() {
        let steps: Vec<f64> = (0..=50).map(|step| luminance(viridis(f64::from(step) / 50.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        assert_eq!((viridis(-1.0), viridis(2.0)), (Colour(VIRIDIS[0]), Colour(VIRIDIS[9])));
    }
}
