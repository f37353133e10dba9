use proptest::prelude::*;

use super::super::Catalogue;
use super::*;

/// VOTable with one table of these fields and data.
fn votable(table: &str) -> Vec<u8> {
    format!("<?xml version='1.0'?>\n<VOTABLE version='1.4'><RESOURCE>{table}</RESOURCE></VOTABLE>").into_bytes()
}

fn one(fields: &str, rows: &str) -> Vec<u8> {
    votable(&format!("<TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE>"))
}

fn column(bytes: &[u8], table: usize, column: usize) -> Result<Values, String> {
    Ok(read(bytes, table, &[column])?.remove(0))
}

#[test]
fn reads_every_kind_of_cell() {
    let fields = "<FIELD name='id' datatype='long'><VALUES null='-9'/></FIELD>\
                  <FIELD name='name &amp; field' datatype='char' arraysize='*'/>\
                  <FIELD ID='mags' datatype='float' arraysize='2'/>\
                  <FIELD name='flag' datatype='boolean'/>\
                  <FIELD name='path' datatype='double' arraysize='2x*'/>";
    let rows = "<TR><TD>1237648720693755918</TD><TD>a &lt;b&#233;<![CDATA[<c>]]></TD><TD>1.5 NaN</TD><TD>T</TD>\
                <TD>1 2 3 4</TD></TR>\
                <!-- a comment --><TR><TD>0x10</TD><TD/><TD> </TD><TD>F</TD><TD></TD></TR>\
                <TR><TD>-9</TD><TD> x </TD><TD>-Inf\n1e3</TD><TD></TD><TD>5 6</TD></TR>";
    let bytes = one(fields, rows);
    let stored = tables(&bytes).unwrap().remove(0);
    let names: Vec<(&str, usize)> = stored.iter().map(|stored| (&*stored.name, stored.values_per_row)).collect();
    assert_eq!(names, [("id", 1), ("name & field", 1), ("mags", 2), ("flag", 1), ("path", 1)]);
    for info in ["name='QUERY_STATUS' value='OK'", "name='QUERY_STATUS' value='OVERFLOW'", "name='x' value='ERROR'"] {
        let informed = votable(&format!("<INFO {info}>text</INFO><TABLE><DATA><TABLEDATA/></DATA></TABLE>"));
        assert_eq!(tables(&informed).map(|tables| tables.len()), Ok(1), "{info}");
    }
    let read = read(&bytes, 0, &[0, 1, 2, 3, 4]).unwrap();
    assert_eq!(read[0], Values::Integers(vec![Some(1_237_648_720_693_755_918), Some(16), None]));
    let texts = |texts: [Option<&str>; 3]| Values::Texts(texts.map(|text| text.map(str::to_owned)).to_vec());
    assert_eq!(read[1], texts([Some("a <bé<c>"), None, Some("x")]));
    let numbers = vec![Some(1.5), None, None, None, Some(f64::NEG_INFINITY), Some(1000.0)];
    assert_eq!(read[2], Values::Numbers(numbers));
    assert_eq!(read[3], texts([Some("T"), Some("F"), None]));
    assert_eq!(read[4], texts([Some("1 2 3 4"), None, Some("5 6")]));
}

#[test]
fn reads_names_with_a_namespace_and_any_of_several_tables() {
    let table = |value: &str| {
        format!(
            "<v:TABLE nrows='1'><v:PARAM name='p' datatype='int' value='1'><v:VALUES null='7'/></v:PARAM>\
             <v:FIELD name='u' datatype='int'/><v:GROUP><v:FIELDref ref='u'/></v:GROUP><v:DATA><v:TABLEDATA>\
             <v:TR><v:TD>{value}</v:TD></v:TR></v:TABLEDATA></v:DATA></v:TABLE>"
        )
    };
    let empty = "<v:TABLE><v:FIELD name='u' datatype='int'/></v:TABLE>";
    let bytes =
        format!("<v:VOTABLE xmlns:v='x'><v:RESOURCE>{}{empty}{}</v:RESOURCE></v:VOTABLE>", table("7"), table("8"));
    assert_eq!(tables(bytes.as_bytes()).unwrap().len(), 2);
    assert_eq!(column(bytes.as_bytes(), 0, 0), Ok(Values::Integers(vec![Some(7)])));
    assert_eq!(column(bytes.as_bytes(), 1, 0), Ok(Values::Integers(vec![Some(8)])));
    assert!(column(bytes.as_bytes(), 2, 0).unwrap_err().contains("without this table"));
}

#[test]
fn rejects_tables_that_are_cut_off_or_damaged() {
    let field = "<FIELD name='u' datatype='int'/>";
    for (bytes, message) in [
        (one(field, "<TR><TD>1</TD><TD>2</TD></TR>"), "table 1, row 1: 2 cells, but the table has 1 columns"),
        (one(field, "<TR/>"), "row 1: 0 cells"),
        (one(field, "<TR><TD>1.5</TD></TR>"), "table 1, row 1, column `u`: `1.5` is not an integer"),
        (one(field, "<TR><TD>1 2</TD></TR>"), "2 values, expected 1"),
        (one(field, "<TR><TD encoding='base64'>AA==</TD></TR>"), "a cell with the encoding `base64`"),
        (one(field, "<TR><TD>&bomb;</TD></TR>"), "unknown entity `&bomb;`"),
        (one("<FIELD name='u' datatype='float'/>", "<TR><TD>one</TD></TR>"), "`one` is not a number"),
        (one("<FIELD name='u'/>", ""), "column `u`: no datatype"),
        (one("<FIELD name='u' datatype='quad'/>", ""), "unknown datatype `quad`"),
        (one("<FIELD name='u' datatype='int' arraysize='99999999999x9999'/>", ""), "arraysize"),
        (votable("<TABLE nrows='2'><DATA><TABLEDATA><TR></TR></TABLEDATA></DATA></TABLE>"), "states 2 rows"),
        (votable("<TABLE nrows='two'></TABLE>"), "`nrows` of a table is `two`"),
        (votable("<TABLE/>"), "without a table that has data"),
        (votable(&"<TABLE><DATA><TABLEDATA/></DATA></TABLE>".repeat(1_001)), "more than 1000 tables"),
        (votable("<TABLE><DATA><BINARY/></DATA><FIELD name='u' datatype='int'/></TABLE>"), "after the rows"),
        (votable("<TABLE><DATA><BINARY/><TABLEDATA/></DATA></TABLE>"), "two sets of rows"),
        (
            votable(
                "<TABLE><FIELD name='u' datatype='int'/><DATA><BINARY><STREAM encoding='base64'>AAAAAA==</STREAM>\
                 <STREAM encoding='base64'>AAAAAA==</STREAM></BINARY></DATA></TABLE>",
            ),
            "table 1 has two streams",
        ),
        (votable("<TABLE><DATA><FITS/></DATA></TABLE>"), "in a FITS file"),
        (votable("<TABLE><DATA><BINARY><STREAM href='x.bin'/></BINARY></DATA></TABLE>"), "another file, `x.bin`"),
        (votable("<TABLE><DATA><BINARY><STREAM encoding='gzip'/></BINARY></DATA></TABLE>"), "encoding `gzip`"),
        (
            votable("<INFO name='QUERY_STATUS' value='ERROR'>no table sdss.x</INFO>"),
            "an error of the service: no table sdss.x",
        ),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><VOTABLE/>".to_vec(), "in the encoding ISO-8859-1"),
    ] {
        let error = match tables(&bytes) {
            Ok(_) => column(&bytes, 0, 0).unwrap_err(),
            Err(error) => error,
        };
        assert!(error.contains(message), "{message}: {error}");
    }
    let whole = one(field, "<TR><TD>1</TD></TR><TR><TD>2</TD></TR>");
    for cut in 30..whole.len() {
        assert!(tables(&whole[..cut]).is_err(), "cut off at {cut}: {}", String::from_utf8_lossy(&whole[..cut]));
    }
}

/// Rows of `id` (long, −9 is missing), `name` (variable text) and `mag` (two floats), in base64.
fn stream(rows: &[(i64, &str, [f32; 2])], mask: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, (id, name, mag)) in rows.iter().enumerate() {
        bytes.extend(mask.map(|mask| mask[index]));
        bytes.extend(id.to_be_bytes());
        bytes.extend((name.len() as u32).to_be_bytes());
        bytes.extend(name.as_bytes());
        mag.iter().for_each(|mag| bytes.extend(mag.to_be_bytes()));
    }
    bytes
}

fn binary(form: &str, bytes: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let mut text = base64::engine::general_purpose::STANDARD.encode(bytes);
    // Writers break lines.
    (4..text.len()).step_by(64).rev().for_each(|at| text.insert(at, '\n'));
    votable(&format!(
        "<TABLE><FIELD name='id' datatype='long'><VALUES null='-9'/></FIELD>\
         <FIELD name='name' datatype='char' arraysize='*'/><FIELD name='mag' datatype='float' arraysize='2'/>\
         <DATA><{form}><STREAM encoding='base64'>{text}</STREAM></{form}></DATA></TABLE>"
    ))
}

#[test]
fn reads_binary_rows_and_rejects_cut_off_streams() {
    let rows = [(7, "abc", [1.5, f32::NAN]), (-9, "", [2.5, 3.5]), (9, "é", [4.0, 5.0])];
    for (form, mask, second) in [("BINARY", None, Some(2.5)), ("BINARY2", Some(&[0, 0b0010_0000, 0][..]), None)] {
        let bytes = stream(&rows, mask);
        let read = read(&binary(form, &bytes), 0, &[0, 1, 2]).unwrap();
        assert_eq!(read[0], Values::Integers(vec![Some(7), None, Some(9)]), "{form}");
        assert_eq!(read[1], Values::Texts(vec![Some("abc".into()), None, Some("é".into())]), "{form}");
        let mag = vec![Some(1.5), None, second, second.map(|value| value + 1.0), Some(4.0), Some(5.0)];
        assert_eq!(read[2], Values::Numbers(mag), "{form}");
        assert_eq!(column(&binary(form, &bytes), 0, 1).unwrap().len(), 3, "{form}");
        let row = bytes.len() / 3;
        for cut in 1..bytes.len() {
            let found = tables(&binary(form, &bytes[..cut])).map(|tables| tables.len());
            // A stream that ends between two rows has no sign of it; the length of a row varies here.
            let between = [0, 1, 2].map(|count| stream(&rows[..count], mask).len());
            assert_eq!(found.is_ok(), between.contains(&cut), "{form}, cut off at {cut} of rows of about {row}");
        }
    }
    let error = tables(&binary("BINARY", b"")).map(|_| column(&binary("BINARY", b""), 0, 0).unwrap().len());
    assert_eq!(error, Ok(0));
    let no_columns = votable("<TABLE><DATA><BINARY><STREAM encoding='base64'>AAAA</STREAM></BINARY></DATA></TABLE>");
    assert!(tables(&no_columns).unwrap_err().contains("rows without any bytes"));
    let not_base64 = votable("<TABLE><DATA><BINARY><STREAM encoding='base64'>A?A</STREAM></BINARY></DATA></TABLE>");
    assert!(tables(&not_base64).unwrap_err().contains("not base64"));
}

#[test]
fn catalogue_opens_votables_with_their_columns() {
    let bytes = one(
        "<FIELD name='psfMag' datatype='float' arraysize='5'/><FIELD name='z_spec' datatype='double'/>",
        "<TR><TD>1 2 3 4 5</TD><TD>0.1</TD></TR>",
    );
    let catalogue = Catalogue::open(bytes.into(), &[]).unwrap();
    assert_eq!(catalogue.names().first().map(String::as_str), Some("psfMag[0]"));
    assert_eq!(catalogue.names().last().map(String::as_str), Some("z_spec"));
    assert_eq!(catalogue.read(&[2]).unwrap(), [Values::Numbers(vec![Some(3.0)])]);
}

proptest! {
    #[test]
    fn changed_files_are_read_or_rejected(at in 0_usize..2_000, byte in any::<u8>(), which in 0_usize..3) {
        let rows = [(7, "abc", [1.5, 2.5]), (8, "d", [3.5, 4.5])];
        let mut bytes = match which {
            0 => binary("BINARY", &stream(&rows, None)),
            1 => binary("BINARY2", &stream(&rows, Some(&[0, 0]))),
            _ => one("<FIELD name='u' datatype='int'/>", "<TR><TD>1</TD></TR><TR><TD>2</TD></TR>"),
        };
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(tables) = tables(&bytes) {
            for (table, fields) in tables.iter().enumerate() {
                let columns: Vec<usize> = (0..fields.len()).collect();
                let Ok(read) = read(&bytes, table, &columns) else { continue };
                let rows: Vec<usize> =
                    read.iter().zip(fields).map(|(v, field)| v.len() / field.values_per_row.max(1)).collect();
                prop_assert!(rows.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", rows);
            }
        }
    }
}
