extension AnyOperation {
    /// Every error in a request's fields, reason, justification and ticket, without running anything: so that a client that
    /// finds errors of its own around them can answer with all of them at once.
    public func errors(in request: OperationRequest) -> [FieldError] {
        var errors: [FieldError] = []
        do throws(InvalidFields) {
            _ = try parse(request.input)
        } catch {
            errors = error.errors
        }
        let (_, _, missing) = Pipeline.justify(request, spec, malformed: &errors)
        return errors + missing
    }
}
