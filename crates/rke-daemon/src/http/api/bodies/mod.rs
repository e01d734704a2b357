//! `POST` to `session`, as JSON; and to `encrypt`, `decrypt`, `seal` and `open`: each takes its data as
//! JSON, or as a raw body of any size that is worked on while it comes.

mod json;
mod kind;
mod raw;
mod streamed;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use rke_engine::model::viewer::Viewer;

pub(in crate::http) use self::json::{MAX_JSON_LEN, ToCreate, ToDecrypt, ToEncrypt, ToOpen, ToSeal, collect};
pub(in crate::http) use self::kind::Kind;
use super::Shared;
use super::failure::Failure;

type Answered = Result<Response, Failure>;

pub(in crate::http) async fn create(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    request: Request,
) -> Answered {
    json::create(&sessions, &viewer, request).await
}

pub(in crate::http) async fn encrypt(State(sessions): State<Shared>, request: Request) -> Answered {
    match Kind::of(request.headers())? {
        Kind::Json => json::encrypt(&sessions, request).await,
        Kind::Raw => raw::encrypt(sessions, request).await,
    }
}

pub(in crate::http) async fn decrypt(State(sessions): State<Shared>, request: Request) -> Answered {
    match Kind::of(request.headers())? {
        Kind::Json => json::decrypt(&sessions, request).await,
        Kind::Raw => raw::decrypt(sessions, request).await,
    }
}

pub(in crate::http) async fn seal(State(sessions): State<Shared>, request: Request) -> Answered {
    match Kind::of(request.headers())? {
        Kind::Json => json::seal(sessions, request).await,
        Kind::Raw => raw::seal(sessions, request).await,
    }
}

pub(in crate::http) async fn open(State(sessions): State<Shared>, request: Request) -> Answered {
    match Kind::of(request.headers())? {
        Kind::Json => json::open(sessions, request).await,
        Kind::Raw => raw::open(sessions, request).await,
    }
}
