/// x
#[derive(Debug)]
pub struct ClientAddr;
