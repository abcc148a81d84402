//! JSON objects written field by field, for lines of which a run has thousands. The derived way looks through the name of each
//! field for characters to escape, and letter by letter through each text: that takes longer than all the values.

use serde::Serialize;

/// An object with at least one field that is being written at the end of a text.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// What stands before the next field.
    before: u8,
}

impl<'a> Object<'a> {
    /// Begins one; [`Object::end`] ends it.
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        Object { out, before: b'{' }
    }

    /// A field whose value follows. Names are our own words: there is nothing in them to escape. In place, since a text of
    /// known length is a few stores.
    #[inline(always)]
    pub(super) fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.out.extend_from_slice(&[self.before, b'"']);
        self.before = b',';
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A field of any kind.
    pub(super) fn field(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) {
        write_value(self.name(name), value);
    }

    /// A field that is absent without a value.
    pub(super) fn field_if_some(&mut self, name: &'static str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// A field that is absent unless it is true.
    pub(super) fn field_if_true(&mut self, name: &'static str, value: bool) {
        if value {
            self.field(name, &true);
        }
    }

    /// A text.
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        let out = self.name(name);
        if has_escapes(text) {
            return write_value(out, text);
        }
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }

    /// A list of objects.
    pub(super) fn objects<T>(&mut self, name: &'static str, items: &[T], mut write: impl FnMut(&T, Object<'_>)) {
        let out = self.name(name);
        out.push(b'[');
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write(item, Object::begin(out));
        }
        out.push(b']');
    }

    /// Ends it.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

fn write_value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("our own values always serialise");
}

/// Whether a text has a character that JSON escapes. Without a way out of the loop many bytes are looked at at once.
fn has_escapes(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Sample {
        text: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        some: Option<f64>,
        inner: Vec<Inner>,
        none: Option<i32>,
    }

    #[derive(Serialize)]
    struct Inner {
        count: u64,
    }

    #[test]
    fn objects_are_those_of_the_library() {
        let texts = ["", "plain, \u{4e2d}\u{7f}", "a \"word\"", "back\\slash", "line\nend", "\u{1}", "\u{1f}"];
        for (text, some) in texts.into_iter().zip([None, Some(0.1), Some(20_000.0), Some(1e300)].into_iter().cycle()) {
            let sample = Sample { text, some, inner: (0..3).map(|count| Inner { count }).collect(), none: None };
            let mut own = Vec::new();
            let mut object = Object::begin(&mut own);
            object.text("text", text);
            object.field_if_some("some", some.as_ref());
            object.objects("inner", &sample.inner, |inner, mut object| {
                object.field("count", &inner.count);
                object.field_if_true("false", false);
                object.end();
            });
            object.field("none", &None::<i32>);
            object.end();
            let expected = serde_json::to_string(&sample).expect("a sample is JSON");
            assert_eq!(String::from_utf8(own), Ok(expected));
        }
    }
}
