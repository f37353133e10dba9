use super::*;

/// Galaxies whose errors are the quantiles of a bell-like curve, scattered over z_spec without any randomness.
fn galaxies(count: usize) -> Table {
    let part = |index: usize, step: f64| (index as f64 * step).fract();
    let rows = (0..count).map(|index| {
        let z_spec = 0.4 * part(index, 0.618_033_988_75).sqrt();
        let uniform = part(index, 0.754_877_666_2).clamp(0.002, 0.998);
        let dz = 0.006 * (uniform / (1.0 - uniform)).ln();
        (z_spec + dz * (1.0 + z_spec), Some(z_spec))
    });
    table(rows)
}

fn table(rows: impl IntoIterator<Item = (f64, Option<f64>)>) -> Table {
    let (z_phot, z_spec): (Vec<f32>, Vec<Option<f64>>) =
        rows.into_iter().map(|(z_phot, z_spec)| (z_phot as f32, z_spec)).unzip();
    Table {
        data_path: vec!["1.pt".to_owned(); z_phot.len()],
        row: (0..z_phot.len() as i64).collect(),
        flags: vec![0; z_phot.len()],
        z_phot,
        z_spec,
    }
}

/// The SVGs parsed and the PNGs decoded; what any picture must be.
fn checked(table: &Table) -> Vec<Plot> {
    let plots = draw(table).unwrap();
    assert_eq!(plots.iter().map(|plot| plot.name).collect::<Vec<_>>(), NAMES);
    for plot in &plots {
        let svg = roxmltree::Document::parse(&plot.svg).unwrap();
        let root = svg.root_element();
        let texts: Vec<&str> = ["title", "desc"]
            .into_iter()
            .map(|name| text_of(&svg, name))
            .inspect(|text| assert!(!text.is_empty()))
            .collect();
        assert!(texts[1].contains("NMAD"), "{}", texts[1]);
        for number in plot.svg.split(|c: char| !c.is_ascii_alphanumeric()) {
            assert!(!["NaN", "inf"].contains(&number), "{}: {number}", plot.name);
        }
        let size = |name| root.attribute(name).unwrap().parse::<u32>().unwrap();
        assert_eq!(size("width"), 800);
        let (width, height, pixels) = decoded(&plot.png);
        assert_eq!((width, height), (2 * size("width"), 2 * size("height")));
        let inked = pixels.chunks_exact(3).filter(|pixel| *pixel != [255; 3]).count();
        assert!(inked > 5_000 && inked < pixels.len() / 3 * 9 / 10, "{}: {inked} pixels", plot.name);
        assert!(pixels[..3 * width as usize].iter().all(|channel| *channel == 255), "the upper edge is white");
    }
    plots
}

fn decoded(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, ::png::ColorType::Rgb);
    (info.width, info.height, pixels)
}

fn text_of<'a>(svg: &'a roxmltree::Document<'_>, name: &str) -> &'a str {
    svg.descendants().find(|node| node.has_tag_name(name)).and_then(|node| node.text()).unwrap_or("")
}

/// The words of a picture, each line by itself.
fn words(svg: &str) -> Vec<String> {
    let svg = roxmltree::Document::parse(svg).unwrap();
    let texts = svg.descendants().filter(|node| node.has_tag_name("text"));
    texts
        .map(|text| text.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect())
        .collect()
}

/// Whether a line of words is in a picture.
fn says(plot: &Plot, line: &str) -> bool {
    words(&plot.svg).iter().any(|words| words == line)
}

/// Dots and pixels of filled cells, from the paths that draw them.
fn drawn(svg: &str) -> (usize, f64) {
    let svg = roxmltree::Document::parse(svg).unwrap();
    let paths: Vec<_> = svg.descendants().filter(|node| node.has_tag_name("path")).collect();
    let path = |node: &roxmltree::Node<'_, '_>| node.attribute("d").unwrap().to_owned();
    let dots =
        paths.iter().filter(|node| node.has_attribute("stroke-linecap")).map(|node| path(node).matches("h0").count());
    let area = |cell: &str| {
        let numbers: Vec<f64> = cell.split(['h', 'v', 'z']).filter_map(|number| number.parse().ok()).collect();
        numbers.first().zip(numbers.get(1)).map_or(0.0, |(width, height)| width * height)
    };
    let cells = paths.iter().filter(|node| node.has_attribute("shape-rendering"));
    (dots.sum(), cells.map(|node| path(node).split('M').map(area).sum::<f64>()).sum())
}

#[test]
fn the_diagonal_is_drawn_from_corner_to_corner() {
    let plots = checked(&galaxies(500));
    assert!(plots[0].svg.contains("d=\"M92 628L668 52\""), "no line z_phot = z_spec");
    assert!(says(&plots[0], "zphot = zspec") && says(&plots[0], "spectroscopic redshift zspec"));
    assert!(says(&plots[1], "running median") && says(&plots[2], "Distribution of the redshift error"));
}

#[test]
fn every_picture_says_how_many_and_how_good() {
    let table = galaxies(5_000);
    let scores = pipeline::metrics::metrics(&table).all.unwrap();
    let plots = checked(&table);
    assert!(says(&plots[0], "n = 5,000"), "{:?}", words(&plots[0].svg));
    assert!(says(&plots[0], &format!("NMAD = {}", sample::number(scores.authors.nmad))));
    assert!(says(&plots[0], &format!("η0.05 = {:.2} %", 100.0 * scores.eta_0_05)));
    for plot in &plots {
        let svg = roxmltree::Document::parse(&plot.svg).unwrap();
        assert!(text_of(&svg, "desc").starts_with("5,000 galaxies with known redshift."));
    }
}

#[test]
fn the_same_rows_are_the_same_bytes() {
    let (once, again) = (draw(&galaxies(700)).unwrap(), draw(&galaxies(700)).unwrap());
    for (once, again) in once.iter().zip(&again) {
        assert!(once.svg == again.svg && once.png == again.png, "{}", once.name);
    }
}

#[test]
fn one_galaxy_and_fifteen_are_dots() {
    assert_eq!(drawn(&checked(&table([(0.11, Some(0.1))]))[0].svg), (1, 0.0));
    assert_eq!(drawn(&checked(&galaxies(15))[0].svg), (15, 0.0));
}

#[test]
fn redshifts_that_are_all_the_same_have_axes() {
    let (dots, _) = drawn(&checked(&table([(0.2, Some(0.2)); 300]))[0].svg);
    assert_eq!(dots, 0);
    checked(&table([(0.0, Some(0.0)); 3]));
    checked(&table((0..300).map(|index| (f64::from(index) * 1e-3, Some(0.2)))));
}

#[test]
fn outliers_are_counted_in_words() {
    let mut rows = galaxies(997);
    rows.append(table([(1e30, Some(0.1)), (-1e30, Some(0.1)), (-2e30, Some(0.1))]));
    let plots = checked(&rows);
    assert!(says(&plots[0], "Galaxies: 3 outside the axes."), "{:?}", words(&plots[0].svg));
    let lines = words(&plots[2].svg);
    assert!(lines.iter().any(|line| line.starts_with("← 2 below −0.")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("1 above 0.") && line.ends_with('→')), "{lines:?}");
    checked(&table((0..40).map(|index| (10_f64.powi(index - 20), Some(0.1)))));
    checked(&table([(3e38, Some(f64::MAX)), (-3e38, Some(-0.999_999))]));
}

#[test]
fn what_is_not_drawn_is_said() {
    let mut rows = galaxies(100);
    rows.append(table([(0.1, None), (f64::NAN, Some(0.1)), (0.1, Some(f64::NAN)), (0.3, Some(-1.0))]));
    rows.flags[3] = 2;
    let plots = checked(&rows);
    assert!(says(&plots[1], "Galaxies: 1 flagged, shown with the others; 1 without known redshift, not shown;"));
    assert!(says(&plots[1], "3 without finite redshift, not shown."));
    let error = |table: &Table| draw(table).map(|_| ()).unwrap_err().to_string();
    assert!(error(&table([(0.1, None), (0.2, None)])).contains("of 2 predictions 2 have no known redshift"));
    assert!(error(&table([(f64::NAN, Some(0.1))])).contains("1 no finite one"));
    assert!(error(&Table::default()).contains("of 0 predictions"));
}

#[test]
fn a_million_galaxies_are_no_larger_than_their_cells() {
    let plots = checked(&galaxies(1_000_000));
    for plot in &plots {
        assert!(plot.svg.len() < 600_000 && plot.png.len() < 1_000_000, "{}: {} bytes", plot.name, plot.svg.len());
    }
    assert!(says(&plots[0], "n = 1,000,000"));
}

#[test]
fn pictures_are_written_whole_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let written = write(&draw(&galaxies(20)).unwrap(), &folder.path().join("new")).unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let expected = ["z_phot_z_spec.svg", "z_phot_z_spec.png", "dz_z_spec.svg", "dz_z_spec.png", "dz_histogram.svg"];
    assert_eq!(names[..5], expected);
    assert!(written.iter().all(|path| path.exists()));
    assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 6);
}
