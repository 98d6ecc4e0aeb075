//! The AdmissionReview as it comes, of which only what is decided on is kept.

use std::borrow::Cow;

use super::json::{Error, Problem, Reader};
use crate::argocd::accounts::is_account_key;
use crate::policy::accounts::{PART_OF_LABEL, PART_OF_VALUE};

type Result<T> = std::result::Result<T, Error>;

#[derive(Default)]
pub(super) struct Review<'a> {
    pub(super) api_version: Option<Cow<'a, str>>,
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) request: Option<Request<'a>>,
}

#[derive(Default)]
pub(super) struct Request<'a> {
    pub(super) uid: Option<Cow<'a, str>>,
    pub(super) kind: Option<GroupVersionKind<'a>>,
    pub(super) sub_resource: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) namespace: Option<Cow<'a, str>>,
    pub(super) operation: Option<Cow<'a, str>>,
    pub(super) user_info: Option<UserInfo<'a>>,
    pub(super) object: Option<Object<'a>>,
    pub(super) old_object: Option<Object<'a>>,
    pub(super) dry_run: Option<bool>,
}

#[derive(Default)]
pub(super) struct GroupVersionKind<'a> {
    pub(super) group: Option<Cow<'a, str>>,
    pub(super) version: Option<Cow<'a, str>>,
    pub(super) kind: Option<Cow<'a, str>>,
}

#[derive(Default)]
pub(super) struct UserInfo<'a> {
    pub(super) username: Option<Cow<'a, str>>,
    /// Joined by commas.
    pub(super) groups: Option<String>,
}

#[derive(Default)]
pub(super) struct Object<'a> {
    pub(super) metadata: Option<Metadata<'a>>,
    /// The entries of `data` that Argo CD reads accounts from.
    pub(super) account_data: Option<Vec<(String, String)>>,
    /// The JSON text of `spec`.
    pub(super) spec: Option<&'a str>,
}

#[derive(Default)]
pub(super) struct Metadata<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) namespace: Option<Cow<'a, str>>,
    /// Whether the labels are those by which Argo CD finds a ConfigMap.
    pub(super) part_of_argo_cd: bool,
    pub(super) deletion_timestamp: Option<()>,
    /// Whether one of its owners is its controller.
    pub(super) controlled: bool,
}

impl<'a> Review<'a> {
    /// Reads a whole body.
    pub(super) fn read(body: &'a str, max_depth: usize) -> Result<Review<'a>> {
        let mut reader = Reader::new(body, max_depth);
        let mut review = Review::default();
        reader.object(|key, reader| match key {
            "apiVersion" => set(&mut review.api_version, reader, Reader::string),
            "kind" => set(&mut review.kind, reader, Reader::string),
            "request" => set(&mut review.request, reader, Request::read),
            _ => reader.skip(),
        })?;
        reader.end()?;
        Ok(review)
    }
}

impl<'a> Request<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Request<'a>> {
        let mut request = Request::default();
        reader.object(|key, reader| match key {
            "uid" => set(&mut request.uid, reader, Reader::string),
            "kind" => set(&mut request.kind, reader, GroupVersionKind::read),
            "subResource" => set(&mut request.sub_resource, reader, Reader::string),
            "name" => set(&mut request.name, reader, Reader::string),
            "namespace" => set(&mut request.namespace, reader, Reader::string),
            "operation" => set(&mut request.operation, reader, Reader::string),
            "userInfo" => set(&mut request.user_info, reader, UserInfo::read),
            "object" => set(&mut request.object, reader, Object::read),
            "oldObject" => set(&mut request.old_object, reader, Object::read),
            "dryRun" => set(&mut request.dry_run, reader, Reader::boolean),
            _ => reader.skip(),
        })?;
        Ok(request)
    }
}

impl<'a> GroupVersionKind<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<GroupVersionKind<'a>> {
        let mut kind = GroupVersionKind::default();
        reader.object(|key, reader| match key {
            "group" => set(&mut kind.group, reader, Reader::string),
            "version" => set(&mut kind.version, reader, Reader::string),
            "kind" => set(&mut kind.kind, reader, Reader::string),
            _ => reader.skip(),
        })?;
        Ok(kind)
    }

    pub(super) fn names(&self) -> (&str, &str, &str) {
        (
            self.group.as_deref().unwrap_or_default(),
            self.version.as_deref().unwrap_or_default(),
            self.kind.as_deref().unwrap_or_default(),
        )
    }
}

impl<'a> UserInfo<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<UserInfo<'a>> {
        let mut user = UserInfo::default();
        reader.object(|key, reader| match key {
            "username" => set(&mut user.username, reader, Reader::string),
            "groups" => set(&mut user.groups, reader, joined),
            _ => reader.skip(),
        })?;
        Ok(user)
    }
}

impl<'a> Object<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Object<'a>> {
        let mut object = Object::default();
        reader.object(|key, reader| match key {
            "metadata" => set(&mut object.metadata, reader, Metadata::read),
            "data" => set(&mut object.account_data, reader, account_data),
            "spec" => set(&mut object.spec, reader, Reader::raw),
            _ => reader.skip(),
        })?;
        Ok(object)
    }
}

impl<'a> Metadata<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Metadata<'a>> {
        let mut metadata = Metadata::default();
        let (mut labels, mut owners) = (None, None);
        reader.object(|key, reader| match key {
            "name" => set(&mut metadata.name, reader, Reader::string),
            "namespace" => set(&mut metadata.namespace, reader, Reader::string),
            "labels" => set(&mut labels, reader, is_part_of_argo_cd),
            "deletionTimestamp" => set(&mut metadata.deletion_timestamp, reader, Reader::skip),
            "ownerReferences" => set(&mut owners, reader, has_controller),
            _ => reader.skip(),
        })?;
        metadata.part_of_argo_cd = labels.unwrap_or(false);
        metadata.controlled = owners.unwrap_or(false);
        Ok(metadata)
    }
}

/// Reads a field that may be null and must not stand twice.
fn set<'a, T>(
    field: &mut Option<T>,
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T>,
) -> Result<()> {
    if field.is_some() {
        return Err(reader.error(Problem::Duplicate));
    }
    *field = reader.optional(read)?;
    Ok(())
}

fn joined(reader: &mut Reader<'_>) -> Result<String> {
    let mut joined = String::with_capacity(64);
    reader.array(|reader| {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(&reader.string()?);
        Ok(())
    })?;
    Ok(joined)
}

fn is_part_of_argo_cd(reader: &mut Reader<'_>) -> Result<bool> {
    let mut is_part = None;
    reader.object(|key, reader| match key {
        PART_OF_LABEL => set(&mut is_part, reader, |reader| {
            Ok(reader.string()? == PART_OF_VALUE)
        }),
        _ => reader.skip(),
    })?;
    Ok(is_part.unwrap_or(false))
}

fn has_controller(reader: &mut Reader<'_>) -> Result<bool> {
    let mut has_controller = false;
    reader.array(|reader| {
        let mut controller = None;
        reader.object(|key, reader| match key {
            "controller" => set(&mut controller, reader, Reader::boolean),
            _ => reader.skip(),
        })?;
        has_controller |= controller == Some(true);
        Ok(())
    })?;
    Ok(has_controller)
}

/// A map of strings, as `data` of a ConfigMap is; of another object's, whatever it is.
fn account_data(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>> {
    let mut data: Vec<(String, String)> = Vec::new();
    reader.object(|key, reader| {
        if !is_account_key(key) {
            return reader.skip();
        }
        if data.iter().any(|(known, _)| known == key) {
            return Err(reader.error(Problem::Duplicate));
        }
        let value = reader.string()?.into_owned();
        data.push((key.to_owned(), value));
        Ok(())
    })?;
    Ok(data)
}
