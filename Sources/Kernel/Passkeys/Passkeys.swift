/// Passkeys of staff: making, using, naming and removing them.
///
/// What a browser is to be asked is answered as JSON in the shape of `PublicKeyCredentialCreationOptions` or
/// `…RequestOptions`, bytes as base 64 of the URL alphabet. Its challenge is good for 5 minutes, once, for this purpose, and
/// for whoever it was given to.
///
/// - Throws: `.invalid` at `/passkey` with the refusal's own sentence.
public protocol Passkeys: Sendable {
    /// Why passkeys can't be used at the console's address; `nil` when they can.
    var hindrance: String? { get }

    /// - Parameter visitor: what this browser alone carries, before there is a session.
    func signInOptions(visitor: String) async throws(OperationError) -> JSON
    /// A passkey that checked its owner is both factors: there is no password beside it.
    func signIn(_ answer: JSON, visitor: String, from source: Source) async throws(OperationError) -> NewSession

    func stepUpOptions(_ session: SessionInfo) async throws(OperationError) -> JSON
    func stepUp(_ session: SessionInfo, with answer: JSON, from source: Source) async throws(OperationError)

    /// Needs a fresh factor.
    func creationOptions(_ session: SessionInfo, by caller: Caller) async throws(OperationError) -> JSON
    func add(
        _ answer: JSON, named name: String, to session: SessionInfo, by caller: Caller
    ) async throws(OperationError)
    func rename(
        _ id: String, to name: String, of session: SessionInfo, by caller: Caller
    ) async throws(OperationError)
    /// Needs a fresh factor. Refused when nothing else is left to sign in with.
    func remove(_ id: String, of session: SessionInfo, by caller: Caller) async throws(OperationError)
    /// How many this person has.
    func count(of session: SessionInfo) async throws(OperationError) -> Int

    /// A nonce for an action to be signed, and what the action's ids and salts are made of.
    func intentNonce(_ session: SessionInfo) async throws(OperationError) -> (nonce: String, seed: IntentSeed)
    /// The same for a nonce that came back. Whether it is of this session and still good is found out by `sign`.
    func intentSeed(_ nonce: String) -> IntentSeed
    /// What is to be asked so that a passkey signs an action.
    func signingOptions(
        _ action: JSON, nonce: String, of session: SessionInfo
    ) async throws(OperationError) -> JSON
    /// Checks that a passkey of this person signed this very action. The session's factor is fresh after it.
    func sign(
        _ action: JSON, nonce: String, with answer: JSON, of session: SessionInfo, from source: Source
    ) async throws(OperationError) -> SignedIntent

    /// The event that says whose a passkey is; `nil` when there is none.
    func registration(of factor: String) async throws(OperationError) -> String?

    func enrolmentOptions(token: String) async throws(OperationError) -> JSON
    /// Sets the password and a first passkey at once.
    func enrol(
        token: String, password: String, passkey answer: JSON, named name: String, from source: Source
    ) async throws(OperationError) -> (recoveryCodes: [String], session: NewSession)
}
