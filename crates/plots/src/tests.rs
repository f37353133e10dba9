use super::*;

/// Predictions as owned columns.
#[derive(Default)]
struct Table {
    z_phot: Vec<f32>,
    z_spec: Vec<Option<f64>>,
    flags: Vec<u8>,
}

impl Table {
    fn append(&mut self, other: Table) {
        self.z_phot.extend(other.z_phot);
        self.z_spec.extend(other.z_spec);
        self.flags.extend(other.flags);
    }

    fn predictions(&self) -> Predictions<'_> {
        Predictions { z_phot: &self.z_phot, z_spec: &self.z_spec, flags: &self.flags }
    }
}

/// Galaxies whose errors are quantiles of a bell-shaped distribution. The function uses no random numbers.
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
    Table { flags: vec![0; z_phot.len()], z_phot, z_spec }
}

/// Draws the table, and checks the properties that every figure must have.
fn draw_and_check(table: &Table) -> Vec<Plot> {
    let plots = draw(table.predictions()).unwrap();
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
        assert!(pixels[..3 * width as usize].iter().all(|channel| *channel == 255), "the upper edge is not white");
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

/// Returns the lines of text of a figure.
fn text_lines(svg: &str) -> Vec<String> {
    let svg = roxmltree::Document::parse(svg).unwrap();
    let texts = svg.descendants().filter(|node| node.has_tag_name("text"));
    texts
        .map(|text| text.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect())
        .collect()
}

/// Returns true if a figure has this line of text.
fn has_line(plot: &Plot, line: &str) -> bool {
    text_lines(&plot.svg).iter().any(|text| text == line)
}

/// Returns the number of dots, and the area of the filled cells in pixels.
fn dots_and_cell_area(svg: &str) -> (usize, f64) {
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
fn draws_the_diagonal_from_corner_to_corner() {
    let plots = draw_and_check(&galaxies(500));
    assert!(plots[0].svg.contains("d=\"M92 628L668 52\""), "no line z_phot = z_spec");
    assert!(has_line(&plots[0], "zphot = zspec") && has_line(&plots[0], "spectroscopic redshift zspec"));
    assert!(has_line(&plots[1], "running median") && has_line(&plots[2], "Distribution of redshift errors"));
}

#[test]
fn every_figure_shows_count_and_scores() {
    let table = galaxies(5_000);
    let scores = records::metrics::metrics(table.predictions()).all.unwrap();
    let plots = draw_and_check(&table);
    assert!(has_line(&plots[0], "n = 5,000"), "{:?}", text_lines(&plots[0].svg));
    assert!(has_line(&plots[0], &format!("NMAD = {}", sample::number(scores.authors.nmad))));
    assert!(has_line(&plots[0], &format!("η0.05 = {:.2} %", 100.0 * scores.eta_0_05)));
    for plot in &plots {
        let svg = roxmltree::Document::parse(&plot.svg).unwrap();
        assert!(text_of(&svg, "desc").starts_with("5,000 galaxies with known redshift."));
    }
}

#[test]
fn equal_rows_give_equal_bytes() {
    let (once, again) = (draw(galaxies(700).predictions()).unwrap(), draw(galaxies(700).predictions()).unwrap());
    for (once, again) in once.iter().zip(&again) {
        assert!(once.svg == again.svg && once.png == again.png, "{}", once.name);
    }
}

#[test]
fn few_galaxies_are_drawn_as_dots() {
    assert_eq!(dots_and_cell_area(&draw_and_check(&table([(0.11, Some(0.1))]))[0].svg), (1, 0.0));
    assert_eq!(dots_and_cell_area(&draw_and_check(&galaxies(15))[0].svg), (15, 0.0));
}

#[test]
fn draws_equal_redshifts() {
    let (dots, _) = dots_and_cell_area(&draw_and_check(&table([(0.2, Some(0.2)); 3_000]))[0].svg);
    assert_eq!(dots, 0);
    draw_and_check(&table([(0.0, Some(0.0)); 3]));
    draw_and_check(&table((0..300).map(|index| (f64::from(index) * 1e-3, Some(0.2)))));
}

#[test]
fn remarks_count_galaxies_outside_the_axes() {
    let mut rows = galaxies(997);
    rows.append(table([(1e30, Some(0.1)), (-1e30, Some(0.1)), (-2e30, Some(0.1))]));
    let plots = draw_and_check(&rows);
    assert!(has_line(&plots[0], "Galaxies: 3 outside the axes."), "{:?}", text_lines(&plots[0].svg));
    let lines = text_lines(&plots[2].svg);
    assert!(lines.iter().any(|line| line.starts_with("← 2 below −0.")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("1 above 0.") && line.ends_with('→')), "{lines:?}");
    draw_and_check(&table((0..40).map(|index| (10_f64.powi(index - 20), Some(0.1)))));
    draw_and_check(&table([(3e38, Some(19.9)), (-3e38, Some(-0.999_999))]));
}

#[test]
fn remarks_count_galaxies_that_are_not_shown() {
    let mut rows = galaxies(100);
    rows.append(table([(0.1, None), (f64::NAN, Some(0.1)), (0.1, Some(f64::NAN)), (0.3, Some(-1.0))]));
    rows.flags[3] = 2;
    let plots = draw_and_check(&rows);
    assert!(has_line(&plots[1], "Galaxies: 1 flagged (shown); 3 without known redshift (not shown);"));
    assert!(has_line(&plots[1], "1 with non-finite redshift (not shown)."));
    let error = |table: &Table| draw(table.predictions()).map(|_| ()).unwrap_err().to_string();
    assert!(error(&table([(0.1, None), (0.2, None)])).contains("of 2 predictions, 2 have no known redshift"));
    assert!(error(&table([(f64::NAN, Some(0.1))])).contains("1 have a non-finite redshift"));
    assert!(error(&Table::default()).contains("of 0 predictions,"));
}

#[test]
fn file_size_is_bounded_for_a_million_galaxies() {
    let plots = draw_and_check(&galaxies(1_000_000));
    for plot in &plots {
        assert!(plot.svg.len() < 600_000 && plot.png.len() < 1_000_000, "{}: {} bytes", plot.name, plot.svg.len());
    }
    assert!(has_line(&plots[0], "n = 1,000,000"));
}
