// An edge function without an SDK: it passes on the trace context that it was
// given.
fetch(process.env.RIFFLE_TEST_CALLBACK, {headers: {traceparent: process.env.TRACEPARENT}}).catch((err) => {
  console.error(err);
  process.exit(1);
});
