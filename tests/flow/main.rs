//! Whole stories over real sockets, with real payments where it says so.

mod site;

mod hung_up;
mod killed;
mod racing;
mod story;
mod streams;
