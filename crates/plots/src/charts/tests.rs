use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use records::report::PhaseSeconds;

use super::super::colours::{VERMILION, WHITE};
use super::super::figure::{Anchor, Mark, Text};
use super::super::font::Font;
use super::*;

fn quantity(name: &str, unit: &str, spacing: Spacing) -> Quantity {
    Quantity { name: name.to_owned(), unit: unit.to_owned(), spacing }
}

fn within(value: f64, part: f64) -> PlottedValue {
    PlottedValue { value, interval: Some((value * (1.0 - part), value * (1.0 + part))) }
}

fn exactly(value: f64) -> PlottedValue {
    PlottedValue { value, interval: None }
}

/// Returns a number in 0–1 for each index. The numbers are spread evenly and are not random.
fn part(index: usize) -> f64 {
    (index as f64 * 0.618_033_988_75).fract()
}

/// Speedup of three executors over workers, with the ideal speedup.
fn scaling(x: Spacing, y: Spacing) -> Lines {
    let speedup = |name: &str, serial: f64| Series {
        name: name.to_owned(),
        points: [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
            .map(|workers| LinePoint { x: workers, y: within(1.0 / (serial + (1.0 - serial) / workers), 0.06) })
            .to_vec(),
    };
    Lines {
        name: "scaling".to_owned(),
        title: "Speedup over workers".to_owned(),
        x: XAxis::Values(quantity("workers", "", x)),
        y: quantity("speedup", "×", y),
        series: vec![speedup("local", 0.04), speedup("SLURM", 0.012), speedup("Step Functions", 0.002)],
        references: vec![Reference { name: "ideal".to_owned(), points: vec![(1.0, 1.0), (64.0, 64.0)] }],
    }
}

/// Throughput over batch sizes.
fn batches() -> Lines {
    let names = ["32", "64", "128", "256", "512", "1,024"].map(str::to_owned).to_vec();
    let series =
        ["f32", "bf16", "int8", "f32, one thread", "bf16, one thread"].iter().enumerate().map(|(index, name)| {
            let height = 400.0 + 250.0 * index as f64;
            let points = (0..6).map(|size| LinePoint {
                x: f64::from(size),
                y: within(height * (1.0 - 0.5 / f64::from(size + 1)), 0.05),
            });
            Series { name: (*name).to_owned(), points: points.collect() }
        });
    Lines {
        name: "batches".to_owned(),
        title: "Throughput by batch size".to_owned(),
        x: XAxis::Categories { name: "batch size".to_owned(), unit: "images".to_owned(), names },
        y: quantity("throughput", "images/s", Spacing::Linear),
        series: series.collect(),
        references: Vec::new(),
    }
}

fn costs(spacing: Spacing) -> Scatter {
    let points = (0..24).map(|index| {
        let workers = 1 << (index % 8);
        let seconds = 900.0 / f64::from(workers) + 12.0 + 25.0 * part(index);
        let dollars = 0.02 + 0.0004 * f64::from(workers) + 0.03 * part(index + 7);
        ScatterPoint {
            label: format!("{workers} × {} MB", [10, 25, 50][index / 8]),
            x: within(seconds, 0.08),
            y: within(dollars, 0.05),
            highlighted: index % 5 == 0,
            group: 0,
        }
    });
    Scatter {
        name: "cost_time".to_owned(),
        title: "Cost against time".to_owned(),
        x: quantity("wall time", "s", spacing),
        y: quantity("cost", "US$", spacing),
        points: points.collect(),
        comparison: Comparison::Front { highlighted: "Pareto front".to_owned(), others: "dominated".to_owned() },
    }
}

fn predicted(spacing: Spacing) -> Scatter {
    let points = (0..12).map(|index| {
        let measured = 8.0 * 1.5_f64.powi(index as i32);
        ScatterPoint {
            label: format!("{} workers", index + 1),
            x: within(measured, 0.04),
            y: exactly(measured * (0.72 + 0.5 * part(index))),
            highlighted: false,
            group: 0,
        }
    });
    Scatter {
        name: "predicted".to_owned(),
        title: "Predicted against measured time".to_owned(),
        x: quantity("measured", "s", spacing),
        y: quantity("predicted", "s", spacing),
        points: points.collect(),
        comparison: Comparison::Equality,
    }
}

fn phases(scale: f64) -> PhaseSeconds {
    PhaseSeconds {
        init: 0.4 * scale,
        list: 0.1 * scale,
        read: 1.2 * scale,
        decode: 0.5 * scale,
        infer: 5.0 * scale,
        write: 0.2 * scale,
    }
}

/// Tasks on 16 workers; every 37th task is a straggler.
fn timeline(count: usize, phased: bool) -> Gantt {
    let mut free = [0.0_f64; 16];
    let tasks = (0..count).map(|rank| {
        let worker = rank % free.len();
        let is_straggler = rank % 37 == 5;
        let seconds = (6.0 + 2.0 * part(rank)) * if is_straggler { 2.6 } else { 1.0 };
        let start = free[worker] + 0.3;
        free[worker] = start + seconds;
        TimelineTask {
            label: rank.to_string(),
            queued: start - 0.3 - 2.0 * part(rank + 3),
            start,
            end: start + seconds,
            phases: phased.then(|| phases(seconds / 7.6)),
            is_straggler,
        }
    });
    let tasks = tasks.collect();
    Gantt { name: "timeline".to_owned(), title: "Tasks over time".to_owned(), tasks, threshold: Some(10.5) }
}

fn times(count: usize) -> Histogram {
    let tasks = timeline(count, false).tasks;
    Histogram {
        name: "times".to_owned(),
        title: "Run times of the tasks".to_owned(),
        x: quantity("run time", "s", Spacing::Linear),
        counted: "task".to_owned(),
        values: tasks.iter().map(|task| task.end - task.start).collect(),
        threshold: Some(10.5),
    }
}

fn breakdown(count: usize) -> Stacked {
    let bar = |index: usize| Bar {
        label: format!("{} workers, {} MB", 1 << (index % 7), 25 * (index + 1)),
        phases: phases(1.0 + 2.0 * part(index)),
    };
    Stacked {
        name: "phases".to_owned(),
        title: "Where the time went".to_owned(),
        x: quantity("time per task", "s", Spacing::Linear),
        bars: (0..count).map(bar).collect(),
    }
}

/// Charts of every kind, with data like those of a report.
fn charts() -> Vec<Chart> {
    let lines = [Spacing::Linear, Spacing::Log2, Spacing::Log10].map(|spacing| scaling(Spacing::Log2, spacing).draw());
    let others = [
        scaling(Spacing::Linear, Spacing::Linear).draw(),
        batches().draw(),
        costs(Spacing::Linear).draw(),
        costs(Spacing::Log10).draw(),
        predicted(Spacing::Linear).draw(),
        predicted(Spacing::Log10).draw(),
        timeline(1, true).draw(),
        timeline(24, true).draw(),
        timeline(200, false).draw(),
        timeline(480, true).draw(),
        timeline(10_000, false).draw(),
        times(3).draw(),
        times(500).draw(),
        breakdown(1).draw(),
        breakdown(60).draw(),
    ];
    lines.into_iter().chain(others).collect::<Result<_, PlotError>>().unwrap()
}

/// Left, top, right and bottom of a rectangle, in pixels.
type Space = [f64; 4];

fn space(text: &Text, font: &Font) -> Space {
    let (x, y) = text.at;
    let wide = font.width(&text.runs, text.size);
    let before = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => wide / 2.0,
        Anchor::End => wide,
    };
    let (ascent, descent) = (0.72 * text.size, 0.21 * text.size);
    if text.upwards {
        [x - ascent, y + before - wide, x + descent, y + before]
    } else {
        [x - before, y - ascent, x - before + wide, y + descent]
    }
}

fn extent(mark: &Mark, font: &Font) -> Space {
    let around = |points: &mut dyn Iterator<Item = (f64, f64)>, by: f64| {
        points.fold([f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY], |space, (x, y)| {
            assert!(x.is_finite() && y.is_finite());
            [space[0].min(x - by), space[1].min(y - by), space[2].max(x + by), space[3].max(y + by)]
        })
    };
    match mark {
        Mark::Cells { cells, .. } => {
            let corners = cells.iter().flat_map(|cell| [(cell.x, cell.y), (cell.x + cell.width, cell.y + cell.height)]);
            around(&mut corners.collect::<Vec<_>>().into_iter(), 0.0)
        }
        Mark::Area { corners, .. } => around(&mut corners.iter().copied(), 0.0),
        Mark::Lines { lines, .. } => around(&mut lines.iter().flatten().copied(), 0.0),
        Mark::Dots { centres, radius, .. } => around(&mut centres.iter().copied(), *radius),
        Mark::Text(text) => space(text, font),
    }
}

fn texts(chart: &Chart) -> Vec<&Text> {
    let marks = chart.figure.marks.iter();
    marks.filter_map(|mark| if let Mark::Text(text) = mark { Some(text) } else { None }).collect()
}

fn words(text: &Text) -> String {
    text.runs.iter().map(|run| run.words.as_str()).collect()
}

fn has_line(chart: &Chart, line: &str) -> bool {
    texts(chart).into_iter().any(|text| words(text) == line)
}

/// Checks the properties that every chart must have.
fn check(chart: &Chart) {
    let font = Font::new();
    let (width, height) = (f64::from(chart.figure.width), f64::from(chart.figure.height));
    assert!(width == 800.0 && (100.0..=900.0).contains(&height), "{}: {width} × {height}", chart.name());
    for mark in &chart.figure.marks {
        let [left, top, right, bottom] = extent(mark, &font);
        let inside = left >= 0.0 && top >= 0.0 && right <= width && bottom <= height;
        let what = if let Mark::Text(text) = mark { words(text) } else { String::new() };
        assert!(inside, "{}: {left} {top} {right} {bottom} is outside of the figure: {what}", chart.name());
    }
    let texts = texts(chart);
    for (index, one) in texts.iter().enumerate() {
        for other in &texts[index + 1..] {
            let (a, b) = (space(one, &font), space(other, &font));
            let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
            assert!(apart, "{}: `{}` overlaps `{}`", chart.name(), words(one), words(other));
        }
    }
    for svg in [chart.svg(), chart.svg_inline()] {
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        let text = |name| parsed.descendants().find(|node| node.has_tag_name(name)).and_then(|node| node.text());
        assert_eq!(text("desc").unwrap_or_default(), chart.description());
        let attributes = parsed.descendants().flat_map(|node| node.attributes());
        for attribute in attributes.filter(|attribute| attribute.name() != "font-family") {
            let odd = |word: &str| ["NaN", "inf"].contains(&word);
            let value = attribute.value();
            assert!(!value.split(|c: char| !c.is_ascii_alphanumeric()).any(odd), "{}: {value}", chart.name());
        }
    }
    assert!(!chart.title().is_empty() && chart.description().len() > 30, "{}", chart.description());
}

#[test]
fn marks_are_inside_the_figure_and_texts_do_not_overlap() {
    for chart in charts() {
        check(&chart);
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    for (once, again) in charts().iter().zip(charts()) {
        assert!(once.svg() == again.svg() && once.svg_inline() == again.svg_inline(), "{}", once.name());
    }
    let chart = timeline(60, true).draw().unwrap();
    let file = chart.png().unwrap();
    assert_eq!(file, timeline(60, true).draw().unwrap().png().unwrap());
    let reader = ::png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
    assert_eq!((reader.info().width, reader.info().height), (1600, 2 * chart.figure.height));
}

#[test]
fn inline_svg_has_unique_ids_and_uses_the_colours_of_the_page() {
    let mut lines = batches();
    lines.name = "batches of 64".to_owned();
    let svg = lines.draw().unwrap().svg_inline();
    assert!(svg.starts_with("<svg ") && !svg.contains("<?xml"));
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    let root = parsed.root_element();
    assert_eq!(root.attribute("aria-labelledby"), Some("batches-of-64-title batches-of-64-desc"));
    assert_eq!((root.attribute("role"), root.attribute("width")), (Some("img"), Some("100%")));
    let ids: Vec<_> = parsed.descendants().filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids, ["batches-of-64-title", "batches-of-64-desc"]);
    for colour in charts().iter().flat_map(|chart| colours(&chart.svg_inline())) {
        let variable = colour.strip_prefix("var(").and_then(|rest| rest.split_once(", #"));
        let Some((variable, _)) = variable else { panic!("{colour} is not a CSS variable") };
        for css in [&*CSS_LIGHT, &*CSS_DARK] {
            assert!(css.contains(&format!("{variable}: #")), "{variable} is not in {css}");
        }
    }
    assert!(CSS_LIGHT.starts_with("--plot-paper: #ffffff; --plot-ink: #222222;") && CSS_LIGHT.ends_with(';'));
    assert_ne!(*CSS_LIGHT, *CSS_DARK);
}

fn colours(svg: &str) -> Vec<String> {
    let parsed = roxmltree::Document::parse(svg).unwrap();
    let attributes = parsed.descendants().flat_map(|node| node.attributes());
    let coloured = attributes.filter(|attribute| ["fill", "stroke"].contains(&attribute.name()));
    coloured.map(|attribute| attribute.value().to_owned()).filter(|colour| colour != "none").collect()
}

#[test]
fn first_six_series_differ_in_shape_and_dash() {
    for index in 0..6 {
        for other in 0..index {
            let ((one, stroke), (two, other_stroke)) = (markers::of_series(index), markers::of_series(other));
            assert!(one.shape != two.shape && stroke.dash != other_stroke.dash, "{index} is drawn as {other}");
        }
    }
}

#[test]
fn description_of_lines_states_lowest_and_highest_values() {
    let chart = scaling(Spacing::Log2, Spacing::Log10).draw().unwrap();
    let description = chart.description();
    assert!(description.contains("local: 7 points, lowest 1 × at 1, highest 18.2 × at 64."), "{description}");
    assert!(description.contains("At 64: lowest local (18.2 ×), highest Step Functions (56.8 ×)."), "{description}");
    assert!(has_line(&chart, "ideal") && has_line(&chart, "speedup (×)") && has_line(&chart, "64"));
    let categories = batches().draw().unwrap();
    let named = categories.description().contains("lowest 200 images/s at 32 images, highest 367 images/s at 1,024");
    assert!(named && has_line(&categories, "1,024"), "{}", categories.description());
}

#[test]
fn reference_line_is_curved_if_only_one_axis_is_logarithmic() {
    let reference = |x, y| {
        let chart = scaling(x, y).draw().unwrap();
        let line = chart.figure.marks.into_iter().find_map(|mark| match mark {
            Mark::Lines { lines, stroke } if stroke == reference::STROKE => Some(lines),
            _ => None,
        });
        let [line] = <[_; 1]>::try_from(line.unwrap()).unwrap();
        let ((x_0, y_0), (x_1, y_1)) = (line[0], line[line.len() - 1]);
        let off = |(x, y): &(f64, f64)| (y - y_0 - (x - x_0) / (x_1 - x_0) * (y_1 - y_0)).abs();
        line.iter().map(off).fold(0.0, f64::max)
    };
    assert!(reference(Spacing::Log2, Spacing::Log10) < 0.01);
    assert!(reference(Spacing::Linear, Spacing::Linear) < 0.01);
    assert!(reference(Spacing::Log2, Spacing::Linear) > 50.0);
}

#[test]
fn notes_count_data_that_are_not_shown() {
    let mut lines = scaling(Spacing::Log2, Spacing::Log10);
    let odd = [(0.0, 1.0), (2.0, -1.0), (f64::NAN, 1.0), (4.0, f64::INFINITY)];
    lines.series[0].points.extend(odd.map(|(x, y)| LinePoint { x, y: exactly(y) }));
    assert!(has_line(&lines.draw().unwrap(), "4 points not shown: not finite, or not positive on a logarithmic axis."));
    lines.series = (0..14).map(|_| lines.series[1].clone()).collect();
    assert!(has_line(&lines.draw().unwrap(), "2 more series not shown."));
    let mut late = timeline(24, true);
    late.tasks[3].end = late.tasks[3].start - 1.0;
    late.tasks[4].queued = f64::NAN;
    assert!(has_line(&late.draw().unwrap(), "2 tasks not shown: times are not finite or not in order."));
    let mut values = times(500);
    values.values.extend([f64::NAN, 1e9]);
    let chart = values.draw().unwrap();
    assert!(has_line(&chart, "1 non-finite value not shown."));
    let far =
        texts(&chart).into_iter().any(|text| words(text).starts_with("1 above ") && words(text).ends_with("1.00e9 s."));
    assert!(far, "{}", chart.description());
}

#[test]
fn front_is_a_step_line_through_highlighted_points() {
    let chart = costs(Spacing::Linear).draw().unwrap();
    let steps = chart.figure.marks.iter().find_map(|mark| match mark {
        Mark::Lines { lines, stroke } if stroke.colour == VERMILION => lines.first(),
        _ => None,
    });
    let steps = steps.unwrap();
    assert_eq!(steps.len(), 9);
    assert!(steps.windows(2).all(|pair| pair[0].0 == pair[1].0 || pair[0].1 == pair[1].1), "{steps:?}");
    let description = chart.description();
    assert!(description.contains("24 points") && description.contains("Pareto front: 5 points."), "{description}");
    assert!(description.contains("lowest cost: 8 × 50 MB (143 s, 0.0253 US$)"), "{description}");
    assert!(has_line(&chart, "128 × 25 MB"));
}

#[test]
fn description_counts_points_within_twenty_percent() {
    let mut scatter = predicted(Spacing::Linear);
    let description = scatter.draw().unwrap().description().to_owned();
    assert!(
        description.contains("10 of 12 points are within ±20 %") && description.contains(", 28.0 %"),
        "{description}"
    );
    scatter.points[0].x = exactly(0.0);
    scatter.points[0].y = exactly(0.0);
    let description = scatter.draw().unwrap().description().to_owned();
    assert!(description.contains("11 of 12 points are within"), "{description}");
}

#[test]
fn stragglers_have_a_marker_and_are_listed() {
    let markers = |chart: &Chart| {
        let is_marker = |mark: &&Mark| match mark {
            Mark::Area { corners, fill } => corners.len() == 3 && *fill != WHITE,
            _ => false,
        };
        chart.figure.marks.iter().filter(is_marker).count()
    };
    for (tasks, phased, late) in [(24, true, 1), (200, false, 6), (480, true, 13)] {
        let chart = timeline(tasks, phased).draw().unwrap();
        // One marker is in the legend.
        assert_eq!(markers(&chart), late + 1, "{tasks} tasks");
    }
    let chart = timeline(24, true).draw().unwrap();
    let note = "Median run time 7.07 s. Straggler threshold 10.5 s. 1 straggler of 24: 5.";
    assert!(has_line(&chart, note) && has_line(&chart, "infer") && has_line(&chart, "23"), "{}", chart.description());
    let mut none = timeline(24, false);
    none.tasks.iter_mut().for_each(|task| task.is_straggler = false);
    let chart = none.draw().unwrap();
    assert!(markers(&chart) == 0 && chart.description().contains("No stragglers."));
}

#[test]
fn file_size_is_bounded_for_ten_thousand_tasks() {
    let chart = timeline(10_000, false).draw().unwrap();
    assert!(chart.svg().len() < 60_000, "{} bytes", chart.svg().len());
    assert!(
        chart.description().starts_with("10,000 tasks.")
            && chart.description().contains("Each row shows 33 consecutive tasks")
    );
}

#[test]
fn histogram_shows_median_and_straggler_threshold() {
    let chart = times(500).draw().unwrap();
    assert!(has_line(&chart, "median 7.03 s") && has_line(&chart, "straggler threshold 10.5 s"));
    let description = chart.description();
    assert!(description.starts_with("500 tasks in") && description.contains("14 of 500 above"), "{description}");
}

#[test]
fn bars_are_labelled_with_their_sum() {
    let chart = breakdown(8).draw().unwrap();
    assert!(has_line(&chart, "7.40 s") && has_line(&chart, "1 workers, 25 MB") && has_line(&chart, "decode"));
    let description = chart.description();
    assert!(
        description.contains("Shortest: 1 workers, 25 MB (7.40 s); longest: 8 workers, 100 MB (20.0 s)."),
        "{description}"
    );
    assert!(description.contains("infer 13.5 s"), "{description}");
    assert!(has_line(&breakdown(60).draw().unwrap(), "10 more bars not shown; the limit is 50."));
}

#[test]
fn reports_charts_without_data() {
    let error = |chart: Result<Chart, PlotError>| chart.map(|_| ()).unwrap_err().to_string();
    let mut lines = scaling(Spacing::Linear, Spacing::Linear);
    lines.series.clear();
    assert!(error(lines.draw()).starts_with("nothing to draw in `Speedup over workers`"));
    let mut scatter = costs(Spacing::Log10);
    scatter.points.iter_mut().for_each(|point| point.x = exactly(-1.0));
    assert!(error(scatter.draw()).contains("no point has two finite values"));
    assert!(error(timeline(0, false).draw()).contains("none of 0 tasks"));
    assert!(error(times(0).draw()).contains("none of 0 values is finite"));
    assert!(error(breakdown(0).draw()).contains("none of 0 bars"));
}

/// Regression test: long tick labels overlapped on an axis that spanned a factor of two.
#[test]
fn long_tick_labels_do_not_overlap() {
    for x in [6.324117303218722e-152, 3.7e299, 1.234567] {
        for spacing in [Spacing::Log2, Spacing::Log10, Spacing::Linear] {
            let quantity = |spacing| Quantity { name: String::new(), unit: String::new(), spacing };
            let point = LinePoint { x, y: PlottedValue { value: 371.2, interval: None } };
            let lines = Lines {
                name: "long".to_owned(),
                title: "Long numbers".to_owned(),
                x: XAxis::Values(quantity(spacing)),
                y: quantity(Spacing::Linear),
                series: vec![Series { name: String::new(), points: vec![point] }],
                references: Vec::new(),
            };
            check(&lines.draw().unwrap());
        }
    }
}

/// Usual, extreme and non-finite numbers.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3..1e3_f64,
        2 => proptest::num::f64::ANY,
        1 => Just(0.0),
        1 => Just(1e300),
        1 => Just(1e-300),
        1 => Just(7.0),
    ]
}

fn any_value() -> impl Strategy<Value = PlottedValue> {
    (any_number(), proptest::option::of((any_number(), any_number())))
        .prop_map(|(value, interval)| PlottedValue { value, interval })
}

fn spacing() -> impl Strategy<Value = Spacing> {
    prop_oneof![Just(Spacing::Linear), Just(Spacing::Log2), Just(Spacing::Log10)]
}

/// Markup characters, characters that are missing in the font, and long text.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::string::string_regex("[<>&\"'\u{0}-\u{20}a-zäλ漢]{0,12}").unwrap(),
        Just("<&>\"' long ".repeat(40))
    ]
}

proptest! {
    // The seed is fixed, so that a layout error at extreme numbers does not fail an unrelated change. Search for such
    // errors with another seed and more cases.
    #![proptest_config(ProptestConfig { cases: 24, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn draws_any_lines(
        points in proptest::collection::vec((any_number(), any_value()), 1..12),
        ends in proptest::collection::vec((any_number(), any_number()), 0..4),
        name in any_text(),
        (x, y) in (spacing(), spacing()),
        categories in proptest::option::of(1..9_usize),
    ) {
        let across = match categories {
            Some(count) => {
                let names = vec![name.clone(); count];
                XAxis::Categories { name: name.clone(), unit: name.clone(), names }
            }
            None => XAxis::Values(quantity(&name, &name, x)),
        };
        let points: Vec<LinePoint> = points.into_iter().map(|(x, y)| LinePoint { x, y }).collect();
        let lines = Lines {
            name: name.clone(),
            title: format!("title {name}"),
            x: across,
            y: quantity(&name, &name, y),
            series: vec![Series { name: name.clone(), points }; 3],
            references: vec![Reference { name, points: ends }],
        };
        if let Ok(chart) = lines.draw() {
            check(&chart);
        }
    }

    #[test]
    fn draws_any_scatter_plot(
        points in proptest::collection::vec((any_value(), any_value(), any::<bool>()), 1..20),
        label in any_text(),
        (x, y) in (spacing(), spacing()),
        equal: bool,
    ) {
        let point = |(x, y, highlighted)| ScatterPoint { label: label.clone(), x, y, highlighted, group: 0 };
        let front = Comparison::Front { highlighted: label.clone(), others: label.clone() };
        let scatter = Scatter {
            name: label.clone(),
            title: format!("title {label}"),
            x: quantity(&label, &label, x),
            y: quantity(&label, &label, y),
            points: points.into_iter().map(point).collect(),
            comparison: if equal { Comparison::Equality } else { front },
        };
        if let Ok(chart) = scatter.draw() {
            check(&chart);
        }
    }

    #[test]
    fn draws_any_tasks(
        tasks in proptest::collection::vec((any_number(), any_number(), any_number(), any_number(), any::<bool>()), 1..90),
        label in any_text(),
        times in 1..40_usize,
        threshold in proptest::option::of(any_number()),
    ) {
        let task = |(queued, start, end, phase, is_straggler)| TimelineTask {
            label: label.clone(),
            queued,
            start,
            end,
            phases: Some(PhaseSeconds { read: phase, write: phase, ..PhaseSeconds::default() }),
            is_straggler,
        };
        let tasks: Vec<TimelineTask> = tasks.into_iter().map(task).collect();
        let tasks = vec![tasks; times].concat();
        let gantt = Gantt { name: label.clone(), title: format!("title {label}"), tasks, threshold };
        if let Ok(chart) = gantt.draw() {
            check(&chart);
        }
    }

    #[test]
    fn draws_any_histogram(
        values in proptest::collection::vec(any_number(), 1..200),
        name in any_text(),
        threshold in proptest::option::of(any_number()),
    ) {
        let x = quantity(&name, &name, Spacing::Log2);
        let title = format!("title {name}");
        if let Ok(chart) = (Histogram { name: name.clone(), title, x, counted: name, values, threshold }).draw() {
            check(&chart);
        }
    }

    #[test]
    fn draws_any_stacked_bars(
        bars in proptest::collection::vec((any_number(), any_number(), any_number()), 1..60),
        label in any_text(),
    ) {
        let bar = |(init, infer, write)| Bar {
            label: label.clone(),
            phases: PhaseSeconds { init, infer, write, ..PhaseSeconds::default() },
        };
        let bars = bars.into_iter().map(bar).collect();
        let x = quantity(&label, &label, Spacing::Linear);
        if let Ok(chart) = (Stacked { name: label.clone(), title: format!("title {label}"), x, bars }).draw() {
            check(&chart);
        }
    }
}
