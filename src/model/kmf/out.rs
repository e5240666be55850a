//! Writing objects the way Kevoree's serialiser does: attributes on one line, each contained object on a line of its own.

/// A text under way.
pub(super) struct Out {
    text: String,
}

impl Out {
    /// An empty text; Kevoree's begins with a line break.
    pub(super) fn new() -> Out {
        Out { text: "\n".to_owned() }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Opens an object of a class of Kevoree's. `root` is the first of a file.
    pub(super) fn open(&mut self, root: bool, class: &str, id: &str) {
        self.text.push_str("{\"class\":");
        let root = if root { "root:" } else { "" };
        self.quoted(&format!("{root}org.kevoree.{class}@{id}"));
    }

    pub(super) fn close(&mut self) {
        self.text.push('}');
    }

    /// An attribute; all are texts.
    pub(super) fn attribute(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.attribute(key, if value { "true" } else { "false" });
    }

    /// A relation to objects that are somewhere else.
    pub(super) fn references(&mut self, relation: &str, paths: impl IntoIterator<Item = String>) {
        self.key(relation);
        self.text.push('[');
        for (idx, path) in paths.into_iter().enumerate() {
            if idx > 0 {
                self.text.push(',');
            }
            self.quoted(&path);
        }
        self.text.push(']');
    }

    /// A relation to objects that are contained; `write` writes each.
    pub(super) fn objects<T>(
        &mut self,
        relation: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Out, T),
    ) {
        self.key(relation);
        self.text.push('[');
        let mut any = false;
        for item in items {
            self.text.push_str(if any { "\n,\n" } else { "\n" });
            write(self, item);
            any = true;
        }
        self.text.push_str(if any { "\n]" } else { "]" });
    }

    /// A relation to `Value` objects.
    pub(super) fn values<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        relation: &str,
        values: impl IntoIterator<Item = (K, V)>,
    ) {
        self.objects(relation, values, |out, (name, value)| {
            out.open(false, "Value", name.as_ref());
            out.attribute("name", name.as_ref());
            out.attribute("value", value.as_ref());
            out.close();
        });
    }

    /// A text that is JSON already.
    pub(super) fn raw(&mut self, json: &str) {
        self.text.push_str(json);
    }

    fn key(&mut self, key: &str) {
        self.text.push(',');
        self.quoted(key);
        self.text.push(':');
    }

    fn quoted(&mut self, text: &str) {
        let quoted = serde_json::to_string(text).expect("a text is JSON");
        self.text.push_str(&quoted);
    }
}
