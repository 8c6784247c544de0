//! Values for the bus that are made here, not by types.

use zbus::{
    Signature, Variant,
    wire::{Array, Dict, StructureBuilder},
};

/// Values by their names.
pub type Values = Vec<(&'static str, Variant<'static>)>;

/// A dictionary of type `a{sv}`.
pub fn dictionary(values: Values) -> Variant<'static> {
    let mut all = Dict::new(&Signature::Str, &Signature::Variant);
    for (name, value) in values {
        // Fails for other types only.
        let _ = all.append(name.into(), Variant::Variant(Box::new(value)));
    }
    all.into()
}

/// An array of type `a(usa{sv})`.
pub fn described(rows: impl Iterator<Item = (u32, String, Values)>) -> Variant<'static> {
    let of_values = Signature::dict(Signature::Str, Signature::Variant);
    let mut all = Array::new(&Signature::structure([
        Signature::U32,
        Signature::Str,
        of_values,
    ]));
    for (number, text, values) in rows {
        let mut row = StructureBuilder::new();
        for value in [number.into(), text.into(), dictionary(values)] {
            row.push_value(value);
        }
        // As above.
        if let Ok(row) = row.build() {
            let _ = all.append(row.into());
        }
    }
    all.into()
}

/// A dictionary of type `a{sa{sv}}`.
pub fn dictionaries(values: Vec<(&'static str, Values)>) -> Variant<'static> {
    let of_values = Signature::dict(Signature::Str, Signature::Variant);
    let mut all = Dict::new(&Signature::Str, &of_values);
    for (name, values) in values {
        // As above.
        let _ = all.append(name.into(), dictionary(values));
    }
    all.into()
}
