import Kernel
import Testing

/// How long a second factor is good for.
@Suite struct PeopleStepUpTests {
    @Test func `a factor that runs out while a page is read is asked for at once`() {
        func authentication(_ seconds: Int64, of age: Span = Authentication.stepUpAge) -> Authentication {
            Authentication(
                session: "ses_1", factors: [.totp], mfaAt: Instant(microseconds: 0),
                readAt: Instant(microseconds: 0) + .seconds(seconds), stepUpAge: age)
        }
        #expect(authentication(240).staysFresh)
        #expect(!authentication(241).staysFresh && authentication(241).isFresh)
        // Where a minute is all there is, half of it.
        #expect(authentication(30, of: .minutes(1)).staysFresh && !authentication(31, of: .minutes(1)).staysFresh)
    }
}
