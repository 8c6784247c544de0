//! What the interfaces beside the frozen one have in common.
//!
//! zbus's macro makes code of its own for each call, property and signal; a property neither knows
//! who asks for it, nor shares anything with the others. Here arguments and results are values, so
//! that one function does for all, which matters on a target's flash; and what is told of an
//! interface is its XML in the tree.

use std::{collections::HashMap, fmt::Write, pin::Pin};

use async_trait::async_trait;
use zbus::{
    BoxDBusError, Connection, Message, ObjectServer, OwnedVariant, Structure, Variant, fdo,
    message::{Flags, Header},
    names::{InterfaceName, MemberName},
    object_server::{DispatchResult, Interface, SignalEmitter},
    wire::StructureBuilder,
};

use super::{error::ManagerError, values::Values};

/// What a call returns.
pub struct Reply {
    values: Vec<Variant<'static>>,
    sent: Option<Box<dyn FnOnce() + Send>>,
}

impl Reply {
    /// With something that is done once it is sent.
    pub fn with(values: Vec<Variant<'static>>, sent: impl FnOnce() + Send + 'static) -> Self {
        Self {
            values,
            sent: Some(Box::new(sent)),
        }
    }
}

impl From<Vec<Variant<'static>>> for Reply {
    fn from(values: Vec<Variant<'static>>) -> Self {
        let sent = None;
        Self { values, sent }
    }
}

/// What comes of a call, when it comes.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ManagerError>> + Send + 'a>>;

/// A call of one of an interface's methods.
pub struct Call<'a> {
    /// The connection that it came over.
    pub connection: &'a Connection,
    /// Its header.
    pub header: Header<'a>,
    message: &'a Message,
}

/// The arguments of a call that have not been taken yet.
pub struct Arguments(std::vec::IntoIter<Variant<'static>>);

impl Call<'_> {
    /// The arguments, which must have these types.
    ///
    /// # Errors
    /// They have others.
    pub fn arguments(&self, types: &str) -> Result<Arguments, ManagerError> {
        let body = self.message.body();
        let found = body.signature().to_string();
        let found = found
            .strip_prefix('(')
            .and_then(|it| it.strip_suffix(')'))
            .unwrap_or(&found);
        if found != types {
            let text = format!("arguments are of types {types:?}, not {found:?}");
            return Err(ManagerError::new(ManagerError::INVALID_TYPES, text));
        }
        let fields: Result<Vec<_>, _> = body.deserialize::<Structure<'_>>().and_then(|all| {
            let fields = all.into_fields().into_iter();
            fields
                .map(|field| field.try_into_owned().map(Variant::from))
                .collect()
        });
        match fields {
            Ok(fields) => Ok(Arguments(fields.into_iter())),
            Err(error) => Err(ManagerError::invalid(error.to_string())),
        }
    }

    /// The unique name of the caller.
    ///
    /// # Errors
    /// There is none, which no bus lets through.
    pub fn sender(&self) -> Result<&str, ManagerError> {
        let sender = self.header.sender().map(|name| name.as_str());
        sender.ok_or_else(|| ManagerError::invalid("a call from nobody"))
    }
}

impl Arguments {
    /// Takes the next one.
    ///
    /// # Errors
    /// It is of another type, which [`Call::arguments`] has excluded.
    pub fn next<T: TryFrom<Variant<'static>>>(&mut self) -> Result<T, ManagerError> {
        let next = self.0.next().and_then(|value| T::try_from(value).ok());
        next.ok_or_else(|| ManagerError::invalid("an argument of another type"))
    }
}

/// An interface of an object.
pub trait Service: Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// The XML that has it.
    const CONTRACT: &'static str;

    /// Starts what a method does; `None` if there is none of that name.
    fn call<'a>(&'a self, name: &str, call: Call<'a>) -> Option<Answer<'a, Reply>>;

    /// All properties, for the sender of `header`.
    fn properties<'a>(
        &'a self,
        connection: &'a Connection,
        header: &'a Header<'a>,
    ) -> Answer<'a, Values>;
}

/// A service, as zbus knows interfaces.
pub struct Served<S>(pub S);

#[async_trait]
impl<S: Service> Interface for Served<S> {
    fn name() -> InterfaceName<'static> {
        InterfaceName::from_static_str_unchecked(S::NAME)
    }

    async fn get(
        &self,
        name: &str,
        _: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        _: &SignalEmitter<'_>,
    ) -> Option<Result<OwnedVariant, BoxDBusError>> {
        let mut values = match self.0.properties(connection, header?).await {
            Ok(values) => values.into_iter(),
            Err(error) => return Some(Err(fdo::Error::from(error).into())),
        };
        let value = values.find(|(known, _)| *known == name)?.1;
        Some(value.try_into_owned().map_err(BoxDBusError::from))
    }

    async fn get_all(
        &self,
        _: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        _: &SignalEmitter<'_>,
    ) -> fdo::Result<HashMap<String, OwnedVariant>> {
        let Some(header) = header else {
            return Ok(HashMap::new());
        };
        let values = self.0.properties(connection, header).await?;
        let mut all = HashMap::with_capacity(values.len());
        for (name, value) in values {
            all.insert(name.to_owned(), value.try_into_owned()?);
        }
        Ok(all)
    }

    fn set<'call>(
        &'call self,
        name: &'call str,
        _: &'call Variant<'_>,
        _: &'call ObjectServer,
        _: &'call Connection,
        _: Option<&'call Header<'_>>,
        _: &'call SignalEmitter<'_>,
    ) -> DispatchResult<'call> {
        let text = format!("Property '{name}' is read-only");
        DispatchResult::Async(Box::pin(async {
            Err(fdo::Error::PropertyReadOnly(text).into())
        }))
    }

    async fn set_mut(
        &mut self,
        _: &str,
        _: &Variant<'_>,
        _: &ObjectServer,
        _: &Connection,
        _: Option<&Header<'_>>,
        _: &SignalEmitter<'_>,
    ) -> Option<Result<(), BoxDBusError>> {
        None
    }

    fn call<'call>(
        &'call self,
        _: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        let call = Call {
            connection,
            header: message.header(),
            message,
        };
        match self.0.call(&name, call) {
            Some(answer) => DispatchResult::Async(Box::pin(reply(connection, message, answer))),
            None => DispatchResult::NotFound,
        }
    }

    fn call_mut<'call>(
        &'call mut self,
        _: &'call ObjectServer,
        _: &'call Connection,
        _: &'call Message,
        _: MemberName<'call>,
    ) -> DispatchResult<'call> {
        DispatchResult::NotFound
    }

    fn introspect_to_writer(&self, writer: &mut dyn Write, _: usize) {
        // A string takes everything.
        let _ = writer.write_str(of_contract(S::CONTRACT, S::NAME));
    }
}

async fn reply(
    connection: &Connection,
    message: &Message,
    answer: Answer<'_, Reply>,
) -> Result<(), BoxDBusError> {
    let Reply { values, sent: then } = answer
        .await
        .map_err(|error| -> BoxDBusError { Box::new(error) })?;
    let header = message.header();
    let sent = match body(values) {
        _ if header.primary().flags().contains(Flags::NO_REPLY_EXPECTED) => Ok(()),
        Some(body) => connection.reply(&header, &body).await,
        None => connection.reply(&header, &()).await,
    };
    if let Some(then) = then {
        then();
    }
    sent.map_err(BoxDBusError::from)
}

/// Values as the body of a message; `None` if there are none.
pub fn body(values: Vec<Variant<'static>>) -> Option<Structure<'static>> {
    let mut builder = StructureBuilder::new();
    for value in values {
        builder.push_value(value);
    }
    builder.build().ok()
}

/// The element of an interface in an XML contract.
fn of_contract(contract: &'static str, name: &str) -> &'static str {
    const END: &str = "</interface>\n";
    let start = contract.find(&format!("<interface name=\"{name}\">"));
    let element = start.and_then(|start| {
        let rest = contract.get(start..)?;
        rest.get(..rest.find(END)? + END.len())
    });
    element.unwrap_or_default()
}
