//! Kevoree's JSON form of a model (KMF), in and out.
