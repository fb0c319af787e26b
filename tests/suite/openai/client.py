"""What the official client for Python makes of the interface. Arguments: the address and a token."""

import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
hello = [{"role": "user", "content": "Hi"}]

assert "agent:a" in [model.id for model in client.models.list()]
assert client.models.retrieve("agent:a").owned_by == "ringfence"

done = client.chat.completions.create(model="agent:a", messages=hello)
assert done.choices[0].message.content == "Hello there.", done
assert (done.choices[0].finish_reason, done.usage.total_tokens) == ("stop", 12), done

chunks = list(
    client.chat.completions.create(
        model="agent:a", messages=hello, stream=True, stream_options={"include_usage": True}
    )
)
said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert (said, chunks[-1].usage.completion_tokens) == ("Hello there.", 5), chunks

response = client.responses.create(model="agent:a", input="Hi", instructions="Be kind.")
assert (response.output_text, response.status, response.usage.input_tokens) == ("Hello there.", "completed", 7), response

with client.responses.stream(model="agent:a", input=hello) as stream:
    pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
    last = stream.get_final_response()
assert ("".join(pieces), last.output_text) == ("Hello there.", "Hello there."), (pieces, last)

picture = "data:image/png;base64,cG5n"
seen = client.chat.completions.create(
    model="agent:a",
    messages=[
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": picture}}],
        }
    ],
)
assert seen.choices[0].message.content == "A picture.", seen
seen = client.responses.create(
    model="agent:a",
    input=[
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": picture, "detail": "low"}],
        }
    ],
)
assert seen.output_text == "A picture.", seen
for model, url in [("agent:a", "https://example.com/x.png"), ("skill:probe/echo", picture)]:
    try:
        content = [{"type": "image_url", "image_url": {"url": url}}]
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    except openai.BadRequestError as refused:
        assert refused.param == "messages", refused
    else:
        raise AssertionError(model)

for wrong, error in [("gpt-6", openai.NotFoundError), ("skill:none", openai.NotFoundError)]:
    try:
        client.chat.completions.create(model=wrong, messages=hello)
    except error as refused:
        assert refused.code == "model_not_found" and refused.param == "model", refused
    else:
        raise AssertionError(wrong)
try:
    client.chat.completions.create(model="agent:a", messages=hello, n=2)
except openai.BadRequestError as refused:
    assert refused.param == "n", refused
else:
    raise AssertionError("n=2")
echo = client.chat.completions.create(model="skill:probe/echo", messages=hello)
assert echo.choices[0].message.content == "Hi", echo
typed = [{"role": "user", "content": '{"text": "x", "count": 2}'}]
assert client.chat.completions.create(model="skill:probe/typed", messages=typed).choices[0].message.content == "x 2 "
chunks = client.chat.completions.create(
    model="skill:probe/emit", messages=[{"role": "user", "content": '{"text": "ab", "times": 3}'}], stream=True
)
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "ababab"
try:
    client.with_options(api_key="another").models.list()
except openai.AuthenticationError:
    pass
else:
    raise AssertionError("another token")
print("as expected")
